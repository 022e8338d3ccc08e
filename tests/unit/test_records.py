"""What a dataset promises, whoever made it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.data.records import ReIDDataset, Sample, labels_of, query_and_gallery
from passerby.errors import DataError


def sample(number: int, pid: int, camid: int = 0, tracklet: int | None = None) -> Sample:
    return Sample(Path(f"{number:05d}.jpg"), pid, camid, None, tracklet)


worlds = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=60).map(
    lambda rows: [sample(i, pid, camid) for i, (pid, camid) in enumerate(rows)]
)


@given(worlds)
def test_every_query_finds_its_person_under_another_camera(samples: list[Sample]) -> None:
    query, gallery = query_and_gallery(samples)
    assert Counter((*query, *gallery)) == Counter(samples)
    assert all(s.pid > 0 for s in query)
    assert max(Counter((s.pid, s.camid) for s in query).values(), default=1) == 1
    for q in query:
        assert any(g.pid == q.pid and g.camid != q.camid for g in gallery)
    seen: dict[int, set[int]] = {}
    for s in samples:
        seen.setdefault(s.pid, set()).add(s.camid)
    assert {s.pid for s in query} == {pid for pid, cameras in seen.items() if pid > 0 and len(cameras) > 1}


@given(worlds)
def test_without_cameras_every_query_finds_its_person(samples: list[Sample]) -> None:
    query, gallery = query_and_gallery(samples, cameras=False)
    count = Counter(s.pid for s in samples)
    assert Counter(s.pid for s in query) == {pid: 1 for pid, n in count.items() if pid > 0 and n > 1}
    assert {s.pid for s in query} <= {s.pid for s in gallery}


def test_tracklets_stay_whole() -> None:
    samples = [sample(i, 1, i // 4, i // 2) for i in range(8)]
    query, gallery = query_and_gallery(samples)
    assert [s.tracklet for s in query] == [0, 0, 2, 2]
    assert [s.tracklet for s in gallery] == [1, 1, 3, 3]


@pytest.mark.parametrize("pid", [0, -1])
@pytest.mark.parametrize("part", ["train", "query"])
def test_distractors_and_junk_belong_to_the_gallery(pid: int, part: str) -> None:
    parts: dict[str, Any] = {part: (sample(0, pid),)}
    with pytest.raises(DataError, match=f"{part} has the person id {pid} at 00000.jpg"):
        ReIDDataset("x", **parts)
    ReIDDataset("x", gallery=(sample(0, pid),))


def test_a_training_image_is_no_test_image() -> None:
    with pytest.raises(DataError, match=r"00000\.jpg is in training and in the test"):
        ReIDDataset("x", (sample(0, 1),), (sample(1, 2),), (sample(0, 1),))


def test_hold_out() -> None:
    data = ReIDDataset("x", tuple(sample(i, 1 + i // 6, i % 3) for i in range(60)))
    rest, held = data.hold_out(3, seed=1)
    assert len({s.pid for s in rest.train}) == 7
    assert {s.pid for s in rest.train}.isdisjoint({s.pid for s in (*held.query, *held.gallery)})
    assert len(held.query) == 9
    assert data.hold_out(3, seed=1) == (rest, held)
    assert data.hold_out(3, seed=2)[0] != rest
    assert data.hold_out(0)[0] == data
    with pytest.raises(DataError, match="cannot hold out 9 of 10"):
        data.hold_out(9)


def test_one_person_is_too_few_to_learn_from() -> None:
    data = ReIDDataset("x", (sample(0, 1), sample(1, 1)))
    with pytest.raises(DataError, match="1 person to learn from; a loss tells people apart, so two are the least"):
        data.hold_out(0)


def test_hold_out_of_one_camera_still_asks() -> None:
    data = ReIDDataset("x", tuple(sample(i, 1 + i // 3) for i in range(30)), protocol="no_cameras")
    assert len(data.hold_out(4)[1].query) == 4


def test_a_dataset_is_printed_by_its_numbers() -> None:
    gallery = (sample(5, 2, 1), sample(6, -1, 1), sample(7, 0, 1))
    data = ReIDDataset("x", tuple(sample(i, 1) for i in range(4)), (sample(4, 2),), gallery)
    assert repr(data) == (
        "<ReIDDataset x, train: 4 images of 1 persons, query: 1 images of 1 persons, "
        "gallery: 3 images of 1 persons, protocol market1501>"
    )


def test_fingerprint_sees_what_is_listed_and_not_where() -> None:
    data = ReIDDataset("x", (sample(0, 1),))
    elsewhere = ReIDDataset("y", (Sample(Path("/elsewhere/00000.jpg"), 1, 0),))
    assert data.fingerprint() == elsewhere.fingerprint()
    others = [sample(0, 2), sample(0, 1, 1), sample(0, 1, 0, 5), sample(1, 1)]
    prints = {ReIDDataset("x", (other,)).fingerprint() for other in others}
    assert len(prints | {data.fingerprint(), ReIDDataset("x", gallery=(sample(0, 1),)).fingerprint()}) == 6


def test_labels_follow_the_persons_numbers() -> None:
    assert labels_of([sample(0, 30), sample(1, 7), sample(2, 30)]) == ([1, 0, 1], [7, 30])

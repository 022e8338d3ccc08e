"""Camera statistics: what is subtracted, from how many people on, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.embedding.cameras import place, unit

from passerby.embedding.camera_statistics import CameraStatistics, measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError


def camera_share(embeddings: Embeddings) -> float:
    """How often the nearest image of somebody else is of the same camera."""
    distances = -embeddings.vectors @ embeddings.vectors.T
    distances[embeddings.pids[:, None] == embeddings.pids] = np.inf
    return float((embeddings.camids[distances.argmin(axis=1)] == embeddings.camids).mean())


def test_formula_against_a_plain_one() -> None:
    embeddings = place(60)
    statistics = measure_camera_statistics(embeddings)
    means, variances = [], []
    for camera in range(3):
        people = np.stack(
            [
                embeddings.vectors[(embeddings.camids == camera) & (embeddings.pids == pid)].mean(axis=0)
                for pid in range(1, 61)
            ]
        )
        means.append(people.mean(axis=0))
        variances.append(((people - people.mean(axis=0)) ** 2).sum() / 59)
    middle, chance = np.mean(means, axis=0), np.array(variances) / 60
    apart = sum(((mean - middle) ** 2).sum() for mean in means) / 2 - chance.mean()
    weights = apart / (apart + chance)
    offsets = middle + weights[:, None] * (np.stack(means) - middle)
    np.testing.assert_allclose(statistics.weights, weights, rtol=1e-5)
    np.testing.assert_allclose(statistics.offsets(["0", "1", "2"]), offsets, atol=1e-6)
    np.testing.assert_allclose(statistics.offsets(["elsewhere"])[0], middle, atol=1e-6)
    expected = unit(embeddings.vectors - offsets[embeddings.camids])
    np.testing.assert_allclose(statistics.apply(embeddings.vectors, embeddings.camids), expected, atol=1e-5)


def test_a_camera_is_found_in_any_writing_of_its_name() -> None:
    embeddings = place(80)
    statistics = measure_camera_statistics(embeddings)
    assert np.array_equal(statistics.offsets(["0", "1", "2"]), statistics.offsets(["00", "1.0", " 2"]))
    written = [f"0{camera}" for camera in embeddings.camids]
    assert np.array_equal(
        statistics.apply(embeddings.vectors, written), statistics.apply(embeddings.vectors, embeddings.camids)
    )
    assert statistics.unknown(["00", "1.0", "3", "03"]) == 2
    assert statistics.offsets_by_number({5: "01", 6: "3"}).cameras.tolist() == [5]
    twice = replace(statistics, cameras=("0", "1", "01"))  # a file of an older version
    assert np.array_equal(twice.offsets(["01"]), twice.offsets(["1"]))


def test_what_is_left_out_is_counted() -> None:
    """Person 0 is a distractor; who counts people from 0 is told, or says so by `groups`."""
    known = place(60)
    from_zero = replace(known, pids=known.pids - 1)
    found = measure_camera_statistics(from_zero)
    assert (found.counts.tolist(), found.left_out) == ([59, 59, 59], 6)
    assert str(found).endswith("; 6 images without a camera or of nobody in particular left out")
    assert found.to_dict()["left_out"] == 6
    grouped = measure_camera_statistics(from_zero, groups=from_zero.pids)
    assert (grouped.counts.tolist(), grouped.left_out) == ([60, 60, 60], 0)
    assert "left out" not in str(grouped)


def test_cameras_no_longer_decide_who_is_near() -> None:
    embeddings = place(80)
    mapped = measure_camera_statistics(embeddings).map(embeddings)
    assert camera_share(embeddings) > 0.6
    assert camera_share(mapped) < 0.45  # 1/3 is chance


def test_people_count_and_not_crops() -> None:
    few = place(20, images=30)
    statistics = measure_camera_statistics(few)
    assert statistics.counts.tolist() == [20, 20, 20]
    assert not statistics.active
    assert "fewer than 50 people" in str(statistics)
    np.testing.assert_array_equal(statistics.map(few).vectors, few.vectors)
    assert statistics.map(few).fingerprint == few.fingerprint
    assert measure_camera_statistics(few, minimum=20).active


def test_a_person_who_stays_in_view_counts_once() -> None:
    embeddings = place(60)
    stays = embeddings.select(np.r_[np.arange(len(embeddings)), np.zeros(500, np.int64)])
    np.testing.assert_allclose(
        measure_camera_statistics(stays).means, measure_camera_statistics(embeddings).means, atol=1e-3
    )


def test_nothing_is_subtracted_where_cameras_do_not_differ() -> None:
    statistics = measure_camera_statistics(place(60, offset=0.0))
    assert statistics.takes_part.all()
    assert statistics.weights.max() < 0.5
    one = place(60, cameras=1)
    assert not measure_camera_statistics(one).active


def test_fewer_people_are_shrunk_more() -> None:
    embeddings = place(200)
    kept = (embeddings.camids != 2) | (embeddings.pids <= 50)
    weights = measure_camera_statistics(embeddings.select(kept)).weights
    assert weights[2] < weights[0]


def test_tracklets_count_where_people_are_unknown() -> None:
    embeddings = place(60)
    nobody = replace(embeddings, pids=np.zeros(len(embeddings), np.int64))
    tracklets = replace(nobody, tracklets=np.arange(len(embeddings)) // 2)
    statistics = measure_camera_statistics(tracklets)
    assert (statistics.counted, statistics.counts.tolist()) == ("tracklets", [60, 60, 60])
    with pytest.raises(EmbeddingError, match="nobody can say how many people"):
        measure_camera_statistics(nobody)
    with pytest.raises(EmbeddingError, match="found none"):
        measure_camera_statistics(nobody, groups=np.full(len(nobody), -1))


def test_versions_count_on_and_are_never_compared(tmp_path: Path) -> None:
    embeddings = place(60)
    first = measure_camera_statistics(embeddings)
    second = measure_camera_statistics(place(70, seed=1), previous=first)
    assert (first.version, second.version) == (1, 2)
    assert len({first.map(embeddings).fingerprint, second.map(embeddings).fingerprint, embeddings.fingerprint}) == 3
    with pytest.raises(EmbeddingError, match="raw vectors"):
        first.map(first.map(embeddings))
    with pytest.raises(EmbeddingError, match="do not fit vectors of another"):
        first.map(replace(embeddings, fingerprint="another encoder"))
    with pytest.raises(EmbeddingError, match="24 dimensions"):
        first.apply(embeddings.vectors[:, :5].copy(), embeddings.camids)


def test_to_and_from_parquet(tmp_path: Path) -> None:
    statistics = measure_camera_statistics(place(60), minimum=30)
    statistics.to_parquet(tmp_path / "camera_statistics.parquet")
    read = CameraStatistics.from_parquet(tmp_path / "camera_statistics.parquet")
    assert (read.digest, read.to_dict()) == (statistics.digest, statistics.to_dict())
    assert CameraStatistics.from_bytes(statistics.to_bytes()).digest == statistics.digest
    with pytest.raises(EmbeddingError, match="cannot be read as camera statistics"):
        CameraStatistics.from_bytes(b"something else")
    place(3).to_parquet(tmp_path / "vectors.parquet")
    for wrong in ("vectors.parquet", "absent.parquet"):
        with pytest.raises(EmbeddingError, match="cannot be read as camera statistics"):
            CameraStatistics.from_parquet(tmp_path / wrong)


def test_parts_that_do_not_fit() -> None:
    statistics = measure_camera_statistics(place(60))
    for change in ({"cameras": ("0", "0", "1")}, {"minimum": 1}, {"counted": "crops"}, {"variances": np.ones(2)}):
        with pytest.raises(EmbeddingError):
            replace(statistics, **change)


def test_cameras_that_take_no_part_can_be_left_out() -> None:
    embeddings = place(60)
    few = np.flatnonzero(embeddings.camids == 1)[:10]
    some = embeddings.select(np.sort(np.concatenate([np.flatnonzero(embeddings.camids != 1), few])))
    statistics = measure_camera_statistics(some)
    left = statistics.taking_part()
    assert len(left) < len(statistics)
    assert np.array_equal(left.apply(some.vectors, some.camids), statistics.apply(some.vectors, some.camids))
    names = {7: "0", 8: "2", 9: "another", 10: "1"}
    offsets = left.offsets_by_number(names)
    numbers = np.array([7, 8, 9, 10, -1, 3])
    probes = some.vectors[:6]
    expected = left.apply(probes, ["0", "2", "another", "1", "", "x"])
    assert np.allclose(offsets.apply(probes, numbers), expected, atol=1e-6)

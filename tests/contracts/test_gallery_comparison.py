"""What a gallery promises that compares without camera means, or judges distances by a cohort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import DIM, STORES, open_gallery, people

from passerby.embedding.camera_statistics import measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.tracklet import Tracklet
from passerby.errors import GalleryError
from passerby.evaluation.open_set import cohort_searches
from passerby.evaluation.open_set.impostor_distances import impostor_distances
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.gallery import comparison, impostor_searches
from passerby.gallery.gallery import Gallery
from passerby.gallery.migrate import migrate

ENROLLED, IMAGES = 220, 4
CAMERAS = ("door", "hall", "yard")
SHIFTS = 0.8 * people(3, 1, seed=11)[:, 0]


def _crowd() -> tuple[np.ndarray, np.ndarray]:
    """Vectors [people, 6, D] whose camera, [people, 6], adds something of its own."""
    crowd = people(ENROLLED + 80, IMAGES + 2, seed=3, spread=0.12)
    cameras = np.tile(np.arange(IMAGES + 2) % 2, (len(crowd), 1))
    cameras[:20, 3] = 2  # the yard saw too few
    shifted = crowd + SHIFTS[cameras]
    return (shifted / np.linalg.norm(shifted, axis=2, keepdims=True)).astype(np.float32), cameras


CROWD, SEEN_BY = _crowd()
ROWS = CROWD[:ENROLLED, :IMAGES].reshape(-1, DIM)
ROW_CAMERAS = SEEN_BY[:ENROLLED, :IMAGES].reshape(-1)
ROW_PEOPLE = np.repeat(np.arange(1, ENROLLED + 1), IMAGES)


def fill(gallery: Gallery, count: int = ENROLLED) -> None:
    rows = count * IMAGES
    names = [f"p{person}" for person in ROW_PEOPLE[:rows]]
    gallery.enroll_many(names, vectors=ROWS[:rows], cameras=[CAMERAS[camera] for camera in ROW_CAMERAS[:rows]])


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with open_gallery(tmp_path, "people.gallery") as opened:
        fill(opened)
        yield opened


def mapped(vectors: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """By the statistics of all enrolled people."""
    statistics = measure_camera_statistics(Embeddings(ROWS, ROW_PEOPLE, ROW_CAMERAS))
    assert statistics.active
    return statistics.apply(vectors, cameras)


def relative(distances: np.ndarray) -> np.ndarray:
    """r of each row of distances to other people, ascending."""
    found: np.ndarray = np.sqrt(np.maximum(2 + distances[:, 0] ** 2 - (distances[:, 1:21] ** 2).mean(axis=1), 0))
    return found


def to_people(vectors: np.ndarray, cameras: np.ndarray, own: np.ndarray, *, means: bool) -> np.ndarray:
    """Distances of each row to all enrolled people but its own, by other cameras, ascending."""
    rows = mapped(ROWS, ROW_CAMERAS) if means else ROWS
    probes = mapped(vectors, cameras) if means else vectors
    distances = np.linalg.norm(probes[:, None].astype(np.float64) - rows[None], axis=2)
    distances[(cameras[:, None] == ROW_CAMERAS) | (own[:, None] == ROW_PEOPLE)] = np.inf
    return np.sort(np.minimum.reduceat(distances, np.arange(0, len(rows), IMAGES), axis=1), axis=1)


def test_both_are_off_unless_somebody_asks(gallery: Gallery) -> None:
    assert gallery.comparison == comparison.Comparison(0, False, ())
    assert "as they are" in str(gallery.comparison)
    found = gallery.calibration()
    assert (found.camera_means, found.cohort) == (0, False)
    gallery.set_comparison()
    gallery.set_comparison(camera_means=False, cohort=False)
    assert not [event for event in gallery.history() if event.action == "comparison"]


def test_camera_means_are_subtracted_from_probes_and_from_what_is_stored(gallery: Gallery) -> None:
    before = gallery.calibration()
    gallery.set_comparison(camera_means=True, actor="Kim")
    assert gallery.comparison.camera_means == 1
    assert gallery.comparison.cameras == (("door", ENROLLED), ("hall", ENROLLED))
    probe, camera = CROWD[7, 4], SEEN_BY[7, 4]
    answer = gallery.identify(probe, camera=CAMERAS[camera], top=5)
    expected = to_people(probe[None], camera[None], np.array([-1]), means=True)[0]
    assert [match.distance for match in answer] == pytest.approx(expected[:5], abs=1e-6)
    rows = LabelledVectors(mapped(ROWS, ROW_CAMERAS), ROW_PEOPLE, ROW_CAMERAS)
    for kind in ("identify", "observe"):
        law = fit_impostor_law(impostor_distances(rows, exclude_camera=kind == "identify"))
        found = gallery.calibration(kind)
        assert found.threshold == pytest.approx(law.threshold(0.01), rel=1e-5)
        assert found.camera_means == 1
        assert "without camera means, version 1" in str(found)
    assert gallery.calibration().threshold != before.threshold
    stored = gallery.vectors([observation.id for observation in gallery.observations()])
    assert np.allclose(stored, ROWS, atol=1e-6)
    event = gallery.history()[0]
    assert (event.action, event.actor) == ("comparison", "Kim")
    gallery.undo()
    assert gallery.comparison.camera_means == 0
    assert gallery.calibration() == before


def test_camera_means_help_where_cameras_differ(gallery: Gallery) -> None:
    probes, cameras = CROWD[:ENROLLED, 4], [CAMERAS[camera] for camera in SEEN_BY[:ENROLLED, 4]]

    def right() -> int:
        found = gallery.identify_many(vectors=probes, cameras=cameras)
        return sum(one.identity == f"p{person}" for person, one in enumerate(found, 1))

    plain = right()
    gallery.set_comparison(camera_means=True)
    assert right() > plain + 20


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("store", STORES)
def test_a_cohort_gives_each_probe_its_own_threshold(tmp_path: Path, store: str, means: bool) -> None:
    if means and store != "people.gallery":
        pytest.skip("Milvus compares vectors as they are")
    probes, cameras = CROWD[180:, 4], SEEN_BY[180:, 4]
    names = [CAMERAS[camera] for camera in cameras]
    with open_gallery(tmp_path, store) as gallery:
        fill(gallery)
        if means:
            gallery.set_comparison(camera_means=True)
        plain = gallery.identify_many(vectors=probes, cameras=names, top=3)
        gallery.set_comparison(cohort=True)
        answers = gallery.identify_many(vectors=probes, cameras=names, top=3)
        found = gallery.calibration()
    others = relative(to_people(ROWS, ROW_CAMERAS, ROW_PEOPLE, means=means))
    yard = (ROW_CAMERAS == 2)[:, None]  # the yard's people are compared with all other cameras, as everybody is
    assert yard.any()
    impostors = impostor_distances(LabelledVectors(ROWS, ROW_PEOPLE, ROW_CAMERAS))
    law = fit_impostor_law(type(impostors)(others, ROW_PEOPLE, ENROLLED - 1))
    assert found.cohort
    assert found.threshold == pytest.approx(law.threshold(0.01), rel=1e-4)
    expected = relative(to_people(probes, cameras, np.full(len(probes), -1), means=means))
    for before, answer, r in zip(plain, answers, expected.tolist(), strict=True):
        assert [match.identity for match in answer] == [match.identity for match in before]
        assert [match.distance for match in answer] == pytest.approx([match.distance for match in before])
        assert answer.p_value == pytest.approx(law.p_value(r), rel=1e-2)
        assert answer.p_value is not None
        assert answer.known == (answer.p_value <= 0.01)
        assert "20 next nearest people" in answer.note
    assert len({answer.threshold for answer in answers}) > 50


def test_a_cohort_and_the_score(gallery: Gallery) -> None:
    gallery.set_comparison(cohort=True)
    probe = CROWD[7, 4]
    answer = gallery.identify(probe, camera="hall", score="mean")
    assert (answer.known, answer.p_value) == (None, None)
    assert "'mean' with a cohort" in answer.note
    called = gallery.identify(probe, camera="hall", threshold=0.3)
    assert (called.threshold, called.basis) == (0.3, "call")
    assert called.p_value == gallery.identify(probe, camera="hall").p_value
    gallery.set_threshold(0.3)
    assert gallery.identify(probe, camera="hall").threshold == 0.3
    assert gallery.calibration().in_force_far is None


def test_a_cohort_where_few_are_left_to_compare_with_is_on_the_safe_side(gallery: Gallery) -> None:
    gallery.set_comparison(cohort=True)
    gallery.enroll("alone", vectors=CROWD[250, :1], camera="door", time=1e9)
    only = gallery.identify(CROWD[250, 0], camera="hall", after=1e9)
    assert [match.identity for match in only] == ["alone"]
    assert only.known is False
    nobody = gallery.identify(CROWD[250, 0], after=2e9)
    assert (nobody.known, nobody.p_value) == (False, 1.0)


def test_observe_compares_in_the_same_way(gallery: Gallery) -> None:
    gallery.set_comparison(camera_means=True, cohort=True)
    probe = CROWD[7, 4]
    asked = gallery.identify(probe, camera="door", exclude_camera=False)
    seen = gallery.observe(probe, camera="door", time=1e9)
    assert seen.identity == asked.identity == "p8"
    assert seen.distance == pytest.approx(asked.matches[0].distance)
    assert seen.p_value == asked.p_value
    assert seen.identification is not None
    assert seen.identification.threshold == asked.threshold


def seen(gallery: Gallery, people: range) -> None:
    """Each picture of these people is a sighting of somebody new."""
    for person in people:
        for image in range(IMAGES + 1):
            gallery.observe(CROWD[person, image], camera=CAMERAS[SEEN_BY[person, image]], time=image, threshold=0.001)


def test_past_sightings_are_compared_in_the_same_way(gallery: Gallery) -> None:
    gallery.set_sightings(keep_vectors=True)
    people = range(ENROLLED, ENROLLED + 4)
    seen(gallery, people)
    plain = {one.sighting.id: one.distance for one in gallery.find_sightings(CROWD[ENROLLED, 5])}
    gallery.set_comparison(camera_means=True)
    rows = mapped(CROWD[people, : IMAGES + 1].reshape(-1, DIM), SEEN_BY[people, : IMAGES + 1].reshape(-1))
    for camera in (1, -1):
        probe = CROWD[ENROLLED, 5]
        given = probe if camera < 0 else tracklet_of(probe, CAMERAS[camera])
        found = gallery.find_sightings(given)
        expected = np.linalg.norm(mapped(probe[None], np.array([camera])) - rows, axis=1)
        assert [one.distance for one in found] == pytest.approx(np.sort(expected), abs=1e-5)
    assert {one.sighting.id: one.distance for one in found} != plain


def tracklet_of(vector: np.ndarray, camera: str) -> Tracklet:
    one = np.ones(1, np.int64)
    return Tracklet(
        camera, one, np.zeros(1), np.zeros((1, 4), np.float32), np.ones(1, np.float32), vector[None], one,
        np.ones(1, np.float32),
    )  # fmt: skip


def test_unknowns_are_consolidated_in_the_same_way(gallery: Gallery) -> None:
    people = range(ENROLLED, ENROLLED + 8)  # too few for means of their own
    seen(gallery, people)
    owner = {
        f"unknown-{1 + (IMAGES + 1) * place + image}": person
        for place, person in enumerate(people)
        for image in range(IMAGES + 1)
    }

    def right() -> int:
        return sum(owner[pair.into] == owner[pair.other] for pair in gallery.consolidate().joined)

    plain = right()
    gallery.set_comparison(camera_means=True)
    assert right() > plain + 4


def test_too_few_people_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.gallery") as gallery:
        fill(gallery, 199)
        options: list[dict[str, Any]] = [
            {"cohort": True},
            {"camera_means": True},
            {"cohort": True, "camera_means": True},
        ]
        for option in options:
            with pytest.raises(GalleryError, match="200 enrolled people or more, found 199"):
                gallery.set_comparison(**option)
        gallery.enroll("p200", vectors=CROWD[199, 0], camera="door")
        gallery.set_comparison(cohort=True)
        assert gallery.calibration().cohort
        gallery.forget("p200")
        assert not gallery.calibration().cohort
        assert "without the cohort, which takes 200 enrolled people" in gallery.calibration().note


def test_too_few_people_of_a_camera_are_refused(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.gallery") as gallery:
        cameras = ["door"] * 180 + ["hall"] * 40
        gallery.enroll_many([f"p{i}" for i in range(220)], vectors=CROWD[:220, 0], cameras=cameras)
        with pytest.raises(GalleryError, match=r"at least two cameras.*found door 180, hall 40"):
            gallery.set_comparison(camera_means=True)
    with open_gallery(tmp_path, "other.gallery") as gallery:
        gallery.enroll_many([f"p{i}" for i in range(220)], vectors=CROWD[:220, 0])
        with pytest.raises(GalleryError, match="need cameras"):
            gallery.set_comparison(camera_means=True)


def test_a_threshold_of_its_own_has_to_go_first(gallery: Gallery) -> None:
    gallery.set_threshold(0.4)
    with pytest.raises(GalleryError, match="take it back first"):
        gallery.set_comparison(camera_means=True)
    gallery.set_threshold(None)
    gallery.set_comparison(camera_means=True)


@pytest.mark.parametrize("store", [store for store in STORES if "sqlite" not in str(store.id)])
def test_milvus_refuses_camera_means(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        fill(gallery)
        with pytest.raises(GalleryError, match="Milvus compares vectors as they are"):
            gallery.set_comparison(camera_means=True)


def test_it_is_stored_and_others_see_it(tmp_path: Path) -> None:
    probe = CROWD[7, 4]
    with open_gallery(tmp_path, "people.gallery") as one, open_gallery(tmp_path, "people.gallery") as other:
        fill(one)
        before = other.identify(probe, camera="hall")
        one.set_comparison(camera_means=True, cohort=True)
        assert other.identify(probe, camera="hall") == one.identify(probe, camera="hall") != before
        one.enroll("late", vectors=CROWD[260, :2], camera="door")
        found = one.identify(CROWD[260, 4], camera="hall")
        assert found.matches[0].identity == "late"
    with open_gallery(tmp_path, "people.gallery") as again:
        assert again.identify(CROWD[260, 4], camera="hall") == found
        again.compact()
        again.check()
        assert again.identify(CROWD[260, 4], camera="hall") == found


def test_a_new_gallery_may_ask_for_a_cohort(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.gallery", cohort=True) as gallery:
        fill(gallery, 100)
        assert not gallery.calibration().cohort
    with open_gallery(tmp_path, "people.gallery", cohort=True) as gallery:
        rest = slice(100 * IMAGES, None)
        gallery.enroll_many([f"p{p}" for p in ROW_PEOPLE[rest]], vectors=ROWS[rest], cameras="door")
        assert gallery.calibration().cohort
    with pytest.raises(GalleryError, match="judges distances by a cohort"):
        open_gallery(tmp_path, "people.gallery", cohort=False)


def test_means_are_measured_again_as_the_next_version(gallery: Gallery) -> None:
    gallery.set_comparison(camera_means=True)
    first = gallery.identify(CROWD[7, 4], camera="hall")
    gallery.enroll_many([f"late{i}" for i in range(60)], vectors=CROWD[220:280, 3], cameras="hall")
    gallery.set_comparison(camera_means=True)
    assert gallery.comparison.camera_means == 2
    assert gallery.comparison.cameras[1] == ("hall", ENROLLED + 60)
    gallery.undo()
    assert gallery.comparison.camera_means == 1
    again = gallery.identify(CROWD[7, 4], camera="hall")
    assert again.matches[0].distance == pytest.approx(first.matches[0].distance)


def test_two_versions_never_show_who_was_forgotten_in_between(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with open_gallery(tmp_path, "people.gallery") as gallery:
        fill(gallery)
        gallery.set_comparison(camera_means=True)
        store: Any = gallery._store
        first = store.camera_statistics(1).means.tobytes()
        gallery.set_comparison(camera_means=True)
        gallery.forget("p5")
        assert store.camera_statistics(1) is None
        second = store.camera_statistics(2).means.tobytes()
        with pytest.raises(GalleryError, match="version 1, were erased"):
            gallery.undo(next(e.id for e in gallery.history() if e.action == "comparison"))
        gallery.set_comparison(camera_means=True)
        assert store.camera_statistics(2) is None
        assert gallery.comparison.camera_means == 3
        gallery.set_comparison(camera_means=False)
        gallery.undo()
        assert gallery.comparison.camera_means == 3
        store.settle_erasure()
        gallery.compact()
    content = path.read_bytes()
    assert first not in content
    assert second not in content


def test_a_copy_compares_as_the_original(tmp_path: Path, gallery: Gallery) -> None:
    gallery.set_comparison(camera_means=True, cohort=True)
    gallery.backup(tmp_path / "copy.gallery")
    migrate(tmp_path / "people.gallery", tmp_path / "migrated.gallery")
    asked = gallery.identify(CROWD[7, 4], camera="hall")
    for name in ("copy", "migrated"):
        with open_gallery(tmp_path, f"{name}.gallery") as copy:
            assert copy.comparison == gallery.comparison
            answer = copy.identify(CROWD[7, 4], camera="hall")
            assert answer.p_value == pytest.approx(asked.p_value, rel=1e-6)
            assert answer.threshold == pytest.approx(asked.threshold, rel=1e-6)


def test_a_salvaged_gallery_keeps_the_cohort_and_says_that_the_means_are_lost(tmp_path: Path, gallery: Gallery) -> None:
    gallery.set_comparison(camera_means=True, cohort=True)
    gallery.close()
    found = Gallery.salvage(tmp_path / "people.gallery", tmp_path / "new.gallery")
    assert found.observations == len(ROWS)
    assert "1 camera means (measure them anew)" in str(found)
    with open_gallery(tmp_path, "new.gallery") as saved:
        assert (saved.comparison.cohort, saved.comparison.camera_means) == (True, 0)


def test_a_cohort_in_small_parts_is_the_same(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.set_comparison(cohort=True)
    whole = [gallery.calibration(kind).threshold for kind in ("identify", "observe")]
    monkeypatch.setattr(impostor_searches, "_CHUNK", 50)
    monkeypatch.setattr(cohort_searches, "_TILE", 1000)
    gallery._made_calibrator = None
    assert [gallery.calibration(kind).threshold for kind in ("identify", "observe")] == pytest.approx(whole, rel=1e-5)

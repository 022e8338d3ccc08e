"""What a gallery's calibration promises, against both stores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from tests.contracts.galleries import STORES, TinyEncoder, open_gallery, people, threshold_of

from passerby.embedding.embeddings import Embeddings
from passerby.errors import GalleryError
from passerby.evaluation.open_set.calibration import laws_of_people
from passerby.evaluation.open_set.encoder_impostor_laws import LAWS
from passerby.evaluation.open_set.impostor_distances import impostor_distances
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.gallery.gallery import Gallery

ENROLLED = 120
IMAGES = 4
CAMERAS = ("door", "hall")
CROWD = people(400, IMAGES + 2, seed=3, spread=0.12)


def fill(gallery: Gallery, count: int = ENROLLED, first: int = 0) -> None:
    """Enrol people by their first four images, half of them by each camera."""
    rows = CROWD[first : first + count, :IMAGES].reshape(-1, CROWD.shape[2])
    names = [f"p{first + i // IMAGES}" for i in range(len(rows))]
    gallery.enroll_many(names, vectors=rows, cameras=[CAMERAS[i % 2] for i in range(len(rows))])


class CalibratedEncoder(TinyEncoder):
    """An encoder with the impostor laws of other people."""

    def __init__(self) -> None:
        super().__init__(threshold=0.5)
        crowd = people(200, IMAGES, seed=9, spread=0.12)
        flat = crowd.reshape(-1, crowd.shape[2])
        pids, cameras = np.repeat(np.arange(1, 201), IMAGES), np.tile([0, 0, 0, 1], 200)
        half = np.arange(len(flat)) % 2 == 0
        query, gallery = (Embeddings(flat[part], pids[part], cameras[part]) for part in (half, ~half))
        laws = laws_of_people(query, gallery)
        self.calibration = {"value": 0.5, LAWS: {kind: law.to_list() for kind, law in laws.items()}}


@pytest.fixture(params=STORES)
def gallery(request: Any, tmp_path: Path) -> Iterator[Gallery]:
    with open_gallery(tmp_path, request.param) as opened:
        yield opened


@pytest.fixture(params=STORES, scope="module")
def filled(request: Any, tmp_path_factory: Any) -> Iterator[Gallery]:
    """Not to be changed."""
    with open_gallery(tmp_path_factory.mktemp("calibrated"), request.param) as opened:
        fill(opened)
        yield opened


def from_scratch(gallery: Gallery, kind: str) -> tuple[Any, Any]:
    """The law of the enrolled identities, by the function that evaluation has."""
    unknown = {identity.name for identity in gallery.identities() if identity.unknown}
    seen = [o for o in gallery.observations() if o.identity not in unknown]
    numbers = {identity.name: identity.id for identity in gallery.identities()}
    rows = LabelledVectors(
        gallery.vectors([o.id for o in seen]),
        np.array([numbers[o.identity] for o in seen]),
        np.array([-1 if o.camera is None else CAMERAS.index(o.camera) for o in seen]),
    )
    impostors = impostor_distances(rows, exclude_camera=kind == "identify")
    return fit_impostor_law(impostors), impostors


@pytest.mark.parametrize("kind", ["identify", "observe"])
def test_the_threshold_is_that_of_the_enrolled_people(filled: Gallery, kind: Any) -> None:
    law, _ = from_scratch(filled, kind)
    found = filled.calibration(kind)
    assert found.threshold == pytest.approx(law.threshold(0.01), rel=1e-9)
    assert (found.far, found.identities, found.source, found.kind) == (0.01, ENROLLED, "gallery", kind)
    assert found.finest_far == 0
    assert found.interval is not None
    assert found.threshold is not None
    assert found.interval[0] <= found.threshold <= found.interval[1]
    assert "120 enrolled people" in str(found)


def test_verdict_p_value_and_threshold_agree(filled: Gallery) -> None:
    strangers = CROWD[ENROLLED:, 0]
    answers = filled.identify_many(vectors=np.concatenate([strangers, CROWD[:ENROLLED, 4]]), cameras="door")
    threshold = threshold_of(filled)
    for answer in answers:
        assert answer.threshold == threshold
        assert answer.p_value is not None
        assert answer.known == (answer.p_value <= 0.01)
        assert answer.basis == "gallery"
    by_distance = sorted(answers, key=lambda answer: answer.matches[0].distance)
    p_values = [answer.p_value for answer in by_distance if answer.p_value is not None]
    assert len(p_values) == len(answers)
    assert p_values == sorted(p_values)
    assert sum(bool(answer.known) for answer in answers[:280]) <= 0.04 * 280


def test_a_larger_rate_accepts_at_least_the_same(filled: Gallery) -> None:
    thresholds = [threshold_of(filled, far=far) for far in (0.001, 0.01, 0.05, 0.2)]
    assert thresholds == sorted(thresholds)
    assert filled.calibration(far=0.001).extrapolated
    assert not filled.calibration(far=0.05).extrapolated


def test_which_threshold_goes_first(gallery: Gallery) -> None:
    fill(gallery, 40)
    probe = CROWD[0, 4]
    derived = gallery.identify(probe, camera="door")
    assert derived.threshold == gallery.calibration("identify").threshold
    gallery.set_threshold(0.3)
    own = gallery.identify(probe, camera="door")
    called = gallery.identify(probe, camera="door", threshold=0.2)
    assert (own.threshold, own.basis) == (0.3, "set")
    assert (called.threshold, called.basis) == (0.2, "call")
    assert own.p_value == called.p_value == derived.p_value
    gallery.set_threshold(None)
    assert gallery.identify(probe, camera="door").threshold == derived.threshold


def test_a_probe_without_camera_is_calibrated_as_it_is_searched(filled: Gallery) -> None:
    probe = CROWD[0, 4]
    assert filled.identify(probe).threshold == filled.calibration("observe").threshold
    assert filled.identify(probe, camera="hall", exclude_camera=False).threshold == (
        filled.calibration("observe").threshold
    )


def test_a_camera_that_took_nobody_leaves_nobody_out(filled: Gallery) -> None:
    law, _ = from_scratch(filled, "identify")
    answer = filled.identify(CROWD[0, 4], camera="yard")
    assert (answer.excluded, answer.considered) == (0, ENROLLED * IMAGES)
    assert answer.threshold == pytest.approx(law.among_more(2.0).threshold(0.01), rel=1e-9)  # others: half of the rows
    assert answer.known == (answer.p_value is not None and answer.p_value <= 0.01)
    usual, _ = filled.identify_many(vectors=CROWD[:2, 4], cameras=["door", "yard"])
    assert usual.threshold == filled.calibration("identify").threshold
    by_name = filled.identify(CROWD[0, 4], exclude_camera=["door", "yard"])
    assert by_name.threshold == usual.threshold


def test_a_camera_that_took_nobody_where_one_took_everybody(gallery: Gallery) -> None:
    rows = CROWD[:60, :2].reshape(-1, CROWD.shape[2])
    gallery.enroll_many([f"p{i // 2}" for i in range(len(rows))], vectors=rows, cameras="door")
    assert gallery.identify(CROWD[0, 4], camera="hall").threshold == threshold_of(gallery)


def test_many_images_of_one_person_by_one_camera_weigh_as_one(gallery: Gallery) -> None:
    """The observations that a new camera meets are counted by person and camera."""
    fill(gallery, 40)
    once = gallery._calibrator.rows().compared_share
    gallery.enroll_many(["p0"] * 200, vectors=np.repeat(CROWD[:1, 5], 200, axis=0), cameras="door")
    assert len(gallery.observations("p0")) > 100
    assert gallery._calibrator.rows().compared_share == once == pytest.approx(0.5)


@pytest.mark.parametrize("store", STORES)
def test_a_camera_that_took_nobody_where_one_person_is_enrolled(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, CalibratedEncoder()) as gallery:
        gallery.enroll("p0", vectors=CROWD[0, :2], camera="door")
        assert gallery.identify(CROWD[0, 4], camera="hall").threshold == threshold_of(gallery)


def test_an_unknown_persons_camera_is_one_that_took_nobody(gallery: Gallery) -> None:
    fill(gallery, 40)
    before = gallery.identify(CROWD[0, 4], camera="yard").threshold
    assert gallery.observe(CROWD[300, 0], camera="yard").new
    assert gallery.identify(CROWD[0, 4], camera="yard").threshold == before


def test_the_rate_holds_for_a_camera_that_took_nobody(tmp_path: Path) -> None:
    """With the law of searches that leave out half of the observations it is 8 % here."""
    rates = []
    for seed in range(6):
        crowd = people(400, 2, seed=seed, spread=0.2, dim=32)
        enrolled = crowd[:100].reshape(200, -1)
        with Gallery.open(tmp_path / f"{seed}.gallery", fingerprint="m", far=0.05) as gallery:
            names = [f"p{i // 2}" for i in range(200)]
            gallery.enroll_many(names, vectors=enrolled, cameras=list(CAMERAS) * 100)
            strangers = gallery.identify_many(vectors=crowd[100:, 0], cameras="yard")
            rates.append(np.mean([bool(answer.known) for answer in strangers]))
    assert 0.02 < np.mean(rates) < 0.06


def test_the_rate_is_stored_and_can_be_undone(gallery: Gallery) -> None:
    fill(gallery, 40)
    before, threshold = gallery.calibration(), threshold_of(gallery)
    gallery.set_far(0.1, actor="Kim")
    assert gallery.far == 0.1
    assert threshold_of(gallery) > threshold
    assert gallery.history()[0].action == "far"
    assert gallery.undo().action == "far"
    assert gallery.calibration() == before
    wrong: Any
    for wrong in (0, 1, -0.1, math.nan, "1 %", True):
        with pytest.raises(GalleryError, match="above 0 and below 1"):
            gallery.set_far(wrong)


@pytest.mark.parametrize("store", STORES)
def test_open_sets_the_rate_of_a_new_gallery_and_must_agree_with_a_stored_one(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, far=0.05) as gallery:
        fill(gallery, 10)
        assert gallery.far == 0.05
    with open_gallery(tmp_path, store) as gallery:
        assert gallery.far == 0.05
    with open_gallery(tmp_path, store, far=0.05) as gallery:
        assert gallery.far == 0.05
    with pytest.raises(GalleryError, match="override_far"):
        open_gallery(tmp_path, store, far=0.01)
    with open_gallery(tmp_path, store, far=0.01, override_far=True) as gallery:
        assert gallery.far == 0.01
    with open_gallery(tmp_path, store) as gallery:
        assert gallery.far == 0.05


def test_few_people_have_no_verdict_and_the_answer_says_what_is_missing(gallery: Gallery) -> None:
    nobody = gallery.identify(CROWD[0, 0])
    assert nobody.known is None
    assert "enrol at least 2 people" in nobody.note
    fill(gallery, 3)
    few = gallery.identify(CROWD[0, 4])
    assert (few.known, few.threshold) == (None, None)
    assert few.p_value is not None
    assert "3 enrolled people can show" in few.verdict
    assert gallery.calibration().threshold is None
    assert "enrol more" in str(gallery.calibration())
    with pytest.raises(GalleryError, match="needs a threshold"):
        gallery.observe(CROWD[7, 0])


@pytest.mark.parametrize("store", STORES)
def test_few_people_lean_on_the_encoder_s_law(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, CalibratedEncoder()) as gallery:
        fill(gallery, 1)
        assert gallery.calibration().source == "encoder"
        assert gallery.identify(CROWD[0, 4], camera="gate").basis == "encoder"
        fill(gallery, 29, first=1)
        found = gallery.calibration()
        assert (found.source, found.identities) == ("blend", 30)
        assert found.interval is not None
        assert gallery.identify(CROWD[0, 4], camera="door").threshold == found.threshold


@pytest.mark.parametrize("store", STORES)
def test_a_threshold_of_0_1_counts_until_the_people_suffice(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder(threshold=0.3)) as gallery:
        fill(gallery, 4)
        answer = gallery.identify(CROWD[0, 4], camera="gate")
        assert (answer.threshold, answer.basis) == (0.3, "encoder threshold")
        fill(gallery, 16, first=4)
        answer = gallery.identify(CROWD[0, 4], camera="gate")
        assert answer.basis == "gallery"
        assert answer.threshold != 0.3


def test_everybody_enrolled_by_one_camera_is_conservative(gallery: Gallery) -> None:
    rows = CROWD[:60, :2].reshape(-1, CROWD.shape[2])
    gallery.enroll_many([f"p{i // 2}" for i in range(120)], vectors=rows, cameras="door")
    found = gallery.calibration("identify")
    assert found.conservative == pytest.approx(1)
    assert "conservative" in found.note
    assert "conservative" in gallery.identify(CROWD[0, 3], camera="hall").note


@pytest.mark.parametrize("store", STORES)
def test_guaranteed_accepts_nobody_below_enough_people_and_says_so(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, guaranteed=True) as gallery:
        fill(gallery, 40)
        answer = gallery.identify(CROWD[0, 0])
        assert (answer.known, answer.threshold) == (False, 0.0)
        assert "takes 99 enrolled people, found 40" in answer.note
        assert threshold_of(gallery, far=0.1) > 0


def test_several_frames_are_calibrated_by_tracklets_or_have_no_verdict(gallery: Gallery) -> None:
    rows = CROWD[:80, :1].reshape(-1, CROWD.shape[2])
    gallery.enroll_many([f"p{i}" for i in range(80)], vectors=rows, cameras="door")
    frames = list(CROWD[0, 3:6])
    assert gallery.identify(frames[0]).known is not None
    several = gallery.identify(frames)
    assert several.known is None
    assert "several frames" in several.note
    rows = CROWD[:80, :3].reshape(-1, CROWD.shape[2])
    gallery.enroll_many([f"p{i // 3}" for i in range(240)], vectors=rows, cameras="hall")
    several = gallery.identify(frames, camera="gate")
    single = gallery.identify(frames[0], camera="gate")
    assert several.threshold != single.threshold
    assert "as tracklets" in several.note
    mean = np.mean(frames, axis=0)
    assert gallery.identify_many(vectors=[mean], cameras="gate", frames=[3])[0].threshold == several.threshold


def test_a_centroid_has_no_law(filled: Gallery) -> None:
    answer = filled.identify(CROWD[0, 4], score="centroid")
    assert (answer.known, answer.p_value) == (None, None)
    assert "centroid" in answer.note


CHANGES: dict[str, Callable[[Gallery], object]] = {
    "a person enrolled": lambda g: g.enroll("late", vectors=CROWD[300, :3], camera="hall"),
    "more of a person": lambda g: g.enroll("p3", vectors=CROWD[3, 4:], camera="hall"),
    "a person forgotten": lambda g: g.forget("p5"),
    "two merged": lambda g: g.merge("p1", "p2"),
    "a merging undone": lambda g: (g.merge("p1", "p2"), g.undo()),
    "one split": lambda g: g.split("p4", [o.id for o in g.observations("p4")][:2], name="half"),
    "a split undone": lambda g: (g.split("p4", [o.id for o in g.observations("p4")][:2], name="half"), g.undo()),
    "an enrolment undone": lambda g: (g.enroll("late", vectors=CROWD[300, :3]), g.undo()),
    "an unknown named": lambda g: g.rename(g.observe(CROWD[310, 0], threshold=0.0).identity, "found"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_update_equals_a_calculation_from_scratch(gallery: Gallery, change: str) -> None:
    fill(gallery, 30)
    kinds: tuple[Literal["identify", "observe"], ...] = ("identify", "observe")
    for kind in kinds:
        gallery.calibration(kind)
    gallery.identify([*CROWD[0, 3:6]], camera="door")  # searches tracklets, too
    CHANGES[change](gallery)
    for kind in kinds:
        law, _ = from_scratch(gallery, kind)
        found = gallery.calibration(kind)
        assert found.identities == law.identities
        assert found.threshold == pytest.approx(law.threshold(0.01), rel=1e-6)
        assert np.allclose(found.curve, list(zip(law.distances, law.p_values, strict=True)), rtol=1e-6)


def test_a_random_sequence_of_changes_equals_a_calculation_from_scratch(gallery: Gallery) -> None:
    draw = np.random.default_rng(5)
    fill(gallery, 25)
    for step in range(12):
        names = [identity.name for identity in gallery.identities() if not identity.unknown]
        one, other = draw.choice(names, 2, replace=False)
        action = draw.integers(5)
        if action == 0:
            gallery.enroll(f"new-{step}", vectors=CROWD[100 + step, :3], camera=CAMERAS[step % 2])
        elif action == 1:
            gallery.forget(one)
        elif action == 2:
            gallery.merge(one, other)
        elif action == 3 and len(gallery.observations(one)) > 1:
            gallery.split(one, [gallery.observations(one)[0].id], name=f"part-{step}")
        else:
            gallery.merge(one, other)
            gallery.undo()
        law, _ = from_scratch(gallery, "identify")
        assert gallery.calibration().threshold == pytest.approx(law.threshold(0.01), rel=1e-6)


def test_two_open_galleries_see_each_other_s_changes(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.gallery") as one, open_gallery(tmp_path, "people.gallery") as other:
        fill(one, 30)
        assert other.calibration() == one.calibration()
        other.forget("p7")
        assert one.calibration().identities == 29
        assert other.calibration() == one.calibration()


# -- a stream of people whom nobody enrolled ------------------------------------------------------------------------


def test_identities_that_observe_made_never_calibrate(gallery: Gallery) -> None:
    fill(gallery, 40)
    before = gallery.calibration("observe")
    for person in range(50, 60):
        gallery.observe(CROWD[person, 0], camera="hall")
    after = gallery.calibration("observe")
    assert (after.threshold, after.identities) == (before.threshold, before.identities)
    unknown = [identity.name for identity in gallery.identities() if identity.unknown]
    gallery.merge(unknown[0], unknown[1])
    assert gallery.calibration("observe").identities == 41, "somebody consolidated it: a person"
    gallery.rename(unknown[2], "named")
    assert gallery.calibration("observe").people == 41


def test_a_stream_does_not_run_away(tmp_path: Path) -> None:
    """A missed return makes a twin; if twins calibrated, the threshold would fall and more returns would be missed."""
    draw = np.random.default_rng(1)
    with open_gallery(tmp_path, "people.gallery") as gallery:
        fill(gallery, 100)
        thresholds: list[float | None] = []
        made: list[bool] = []
        for _ in range(4):
            coming = [(person, image) for person in range(100, 200) for image in range(2)]
            for person, image in draw.permutation(coming).tolist():
                made.append(gallery.observe(CROWD[person, image + 2 * (len(made) % 2)], camera="hall").new)
            thresholds.append(gallery.calibration("observe").threshold)
        assert len(set(thresholds)) == 1
        rounds = np.reshape(made, (4, -1)).sum(axis=1)
        assert rounds[-1] < 0.25 * rounds[0], rounds
        assert gallery.calibration("observe").identities == 100


def test_a_stream_that_is_consolidated_counts_its_people(tmp_path: Path) -> None:
    """Unknowns that others were merged into count into the law's size, once each: as many as there are people."""
    draw = np.random.default_rng(1)
    coming = range(100, 140)
    with open_gallery(tmp_path, "people.gallery") as gallery:
        fill(gallery, 100)
        gallery.set_sightings(keep_vectors=True)
        found, thresholds = [], []
        for day in range(4):
            passages = draw.permutation([(person, image) for person in coming for image in range(IMAGES + 2)])
            for number, (person, image) in enumerate(passages.tolist()):
                moment = 1e5 * day + 10.0 * number
                gallery.observe(CROWD[person, image], camera="hall", time=moment, end=moment)
            gallery.consolidate(apply=True)
            unknown = [identity for identity in gallery.identities() if identity.unknown]
            law = gallery.calibration("observe")
            found.append((len(unknown), law.identities))
            thresholds.append(law.threshold)
            assert law.people == 100, "unknowns never calibrate"
    for unknowns, identities in found:
        assert unknowns <= 1.25 * len(coming), found
        assert 100 + 0.9 * len(coming) <= identities <= 100 + len(coming), found
    assert found[-1] == found[1], "every day is like the second"
    assert len(set(thresholds[1:])) == 1


# -- people enrolled twice ------------------------------------------------------------------------------------------


def twice(gallery: Gallery, pairs: int = 3) -> None:
    """Some people once more, under a second name."""
    for person in range(pairs):
        gallery.enroll(f"again-{person}", vectors=CROWD[person, 4:], camera="hall")


def test_people_enrolled_twice_are_found_and_merging_restores_the_threshold(gallery: Gallery) -> None:
    fill(gallery, 60)
    before = threshold_of(gallery)
    quiet = len(gallery.find_duplicates())
    twice(gallery)
    assert threshold_of(gallery) < before
    found = gallery.find_duplicates()
    listed = {(pair.identity, pair.other) for pair in found}
    assert {(f"p{i}", f"again-{i}") for i in range(3)} <= listed
    assert len(found) <= quiet + 6
    p_values = [pair.p_value for pair in found]
    assert p_values == sorted(p_values)
    for person in range(3):
        gallery.merge(f"p{person}", f"again-{person}")
    assert gallery.calibration().threshold == pytest.approx(before, rel=0.1)
    assert not any(pair.other.startswith("again") for pair in gallery.find_duplicates())


def test_what_somebody_has_judged_is_remembered_undone_and_erased(gallery: Gallery) -> None:
    fill(gallery, 60)
    twice(gallery)
    low = threshold_of(gallery)
    gallery.judge_pair("p0", "again-0", "different people", actor="Kim")
    assert ("p0", "again-0") not in {(pair.identity, pair.other) for pair in gallery.find_duplicates()}
    assert gallery.calibration().threshold == low, "different people are impostors of each other"
    event = gallery.history("p0")[0]
    assert (event.action, event.actor, event.detail["judgement"]) == ("pair", "Kim", "different people")
    gallery.undo()
    assert ("p0", "again-0") in {(pair.identity, pair.other) for pair in gallery.find_duplicates()}
    for person in range(3):
        gallery.judge_pair(f"p{person}", f"again-{person}", "one person")
    raised = gallery.calibration()
    assert threshold_of(gallery) > low
    assert raised.identities == 60
    gallery.forget("again-0")
    assert all(event.detail == {} for event in gallery.history("p0") if event.action == "pair")
    assert gallery.calibration().identities == 60
    unknown: Any = "twins"
    with pytest.raises(GalleryError, match="'different people' or 'one person'"):
        gallery.judge_pair("p1", "p2", unknown)
    with pytest.raises(GalleryError, match="the same identity"):
        gallery.judge_pair("p1", "p1", "one person")


def test_a_judgement_follows_a_merged_identity(gallery: Gallery) -> None:
    fill(gallery, 60)
    twice(gallery, 1)
    gallery.judge_pair("p0", "again-0", "different people")
    gallery.merge("p9", "again-0")
    assert ("p0", "p9") not in {(pair.identity, pair.other) for pair in gallery.find_duplicates()}


def test_one_image_under_two_names_is_no_fault(gallery: Gallery) -> None:
    fill(gallery, 30)
    gallery.enroll("twin", vectors=CROWD[0, 0], camera="hall")
    gallery.enroll("p0", vectors=CROWD[0, 0], camera="door")
    assert gallery.find_duplicates()[0].distance == 0
    assert gallery.calibration().threshold is not None

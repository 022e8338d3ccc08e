"""What every store must do, tested through the public methods of a gallery."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import DIM, STORES, TinyEncoder, open_gallery, people, picture

from passerby.errors import GalleryError, GalleryRequestError, NotInGalleryError, StorageError
from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.rows import IdentityRecord
from passerby.models.hub import hub_info

PEOPLE = people(4, 3)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gallery(tmp_path: Path, store: str) -> Iterator[Gallery]:
    with open_gallery(tmp_path, store) as opened:
        yield opened


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    return fill(gallery)


@pytest.fixture(scope="module", params=STORES)
def unchanged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """One filled gallery for all tests that must not change it."""
    with open_gallery(tmp_path_factory.mktemp("unchanged"), request.param) as opened:
        yield fill(opened)


def fill(gallery: Gallery) -> Gallery:
    for number, vectors in enumerate(PEOPLE):
        gallery.enroll(
            f"person-{number}", vectors=vectors, camera=["door", "hall", "yard"], time=[10.0, 20.0, 30.0 + number]
        )
    return gallery


def test_an_empty_gallery_knows_nobody(gallery: Gallery) -> None:
    assert len(gallery) == 0
    assert gallery.identities() == []
    answer = gallery.identify(PEOPLE[0, 0], threshold=1.0)
    assert not answer.known
    assert answer.matches == ()
    assert "unknown" in str(answer)


def test_enrolled_people_are_found_again(unchanged: Gallery) -> None:
    assert len(unchanged) == 4
    assert unchanged.observation_count == 12
    for number, vectors in enumerate(PEOPLE):
        answer = unchanged.identify(vectors[1], threshold=0.5)
        assert answer.identity == f"person-{number}"
        assert answer.matches[0].distance == pytest.approx(0, abs=1e-6)
        assert answer.matches[0].camera == "hall"
        assert answer.matches[0].time == 20.0
        assert len({m.identity for m in answer}) == len(answer) == 4
        assert [m.distance for m in answer] == sorted(m.distance for m in answer)


def test_distances_are_euclidean_between_unit_vectors(unchanged: Gallery) -> None:
    probe = people(1, 1, seed=9)[0, 0]
    answer = unchanged.identify(3.0 * probe)
    for match in answer:
        number = int(match.identity.removeprefix("person-"))
        expected = np.linalg.norm(PEOPLE[number].astype(np.float64) - probe.astype(np.float64), axis=1).min()
        assert match.distance == pytest.approx(expected, abs=1e-5)


def test_the_threshold_is_strict(unchanged: Gallery) -> None:
    distance = unchanged.identify(PEOPLE[0, 0] + PEOPLE[1, 0]).matches[0].distance
    probe = PEOPLE[0, 0] + PEOPLE[1, 0]
    assert unchanged.identify(probe, threshold=distance).known is False
    assert unchanged.identify(probe, threshold=np.nextafter(distance, 9)).known is True


def test_without_a_threshold_there_is_no_verdict(unchanged: Gallery) -> None:
    answer = unchanged.identify(PEOPLE[0, 0])
    assert answer.known is None
    assert answer.identity is None
    assert "no threshold is calibrated" in str(answer)


def test_the_own_camera_is_left_out(unchanged: Gallery) -> None:
    answer = unchanged.identify(PEOPLE[2, 0], camera="door")
    assert "door" not in {m.camera for m in answer}
    assert answer.considered == 8
    assert answer.excluded == 4
    assert unchanged.identify(PEOPLE[2, 0], camera="door", exclude_camera=False).matches[0].camera == "door"
    others = unchanged.identify(PEOPLE[2, 0], exclude_camera=["door", "hall"])
    assert {m.camera for m in others} == {"yard"}
    assert unchanged.identify(PEOPLE[2, 0], camera="never seen").considered == 12


def test_a_time_window_includes_both_ends(filled: Gallery) -> None:
    assert filled.identify(PEOPLE[0, 0], after=20, before=30).considered == 5
    assert filled.identify(PEOPLE[0, 0], after=30.5).considered == 3
    assert filled.identify(PEOPLE[0, 0], before=9).considered == 0
    filled.enroll("timeless", vectors=PEOPLE[0, 0])
    assert "timeless" not in {m.identity for m in filled.identify(PEOPLE[0, 0], before=1e9)}


def test_a_tracklet_is_the_mean_of_its_vectors(unchanged: Gallery) -> None:
    mean = PEOPLE[3].astype(np.float64).mean(axis=0)
    one = unchanged.identify(mean / np.linalg.norm(mean))
    several = unchanged.identify(list(PEOPLE[3]))
    assert [m.identity for m in several] == [m.identity for m in one]
    assert several.matches[0].distance == pytest.approx(one.matches[0].distance, abs=1e-6)


def test_many_probes_are_answered_like_one_by_one(unchanged: Gallery) -> None:
    probes = people(6, 1, seed=3)[:, 0]
    cameras = ["door", None, "hall", "door", "yard", None]
    together = unchanged.identify_many(probes, cameras=cameras, top=3)
    for probe, camera, answer in zip(probes, cameras, together, strict=True):
        alone = unchanged.identify(probe, camera=camera, top=3)
        assert [m.identity for m in alone] == [m.identity for m in answer]
        assert [m.distance for m in alone] == pytest.approx([m.distance for m in answer], abs=1e-6)


def test_loading_changes_no_answer(unchanged: Gallery) -> None:
    before = unchanged.identify(PEOPLE[0, 0], threshold=0.5)
    unchanged.load()
    assert unchanged.identify(PEOPLE[0, 0], threshold=0.5) == before


@pytest.mark.parametrize("score", ["min", "mean", "centroid"])
def test_scores_follow_their_definition(unchanged: Gallery, score: str) -> None:
    probe = people(1, 1, seed=5)[0, 0].astype(np.float64)
    expected = {}
    for number, vectors in enumerate(PEOPLE.astype(np.float64)):
        distances = np.sort(np.linalg.norm(vectors - probe, axis=1))
        centroid = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
        expected[f"person-{number}"] = {
            "min": distances[0],
            "mean": distances[:3].mean(),
            "centroid": np.linalg.norm(centroid - probe),
        }[score]
    answer = unchanged.identify(probe, score=score)  # type: ignore[arg-type]
    assert {m.identity: m.distance for m in answer} == pytest.approx(expected, abs=1e-5)


def test_observe_makes_unknowns_and_finds_them_again(gallery: Gallery) -> None:
    first = gallery.observe(PEOPLE[0, 0], camera="door", time=1, threshold=0.6)
    again = gallery.observe(PEOPLE[0, 1], camera="door", time=2, threshold=0.6)
    other = gallery.observe(PEOPLE[1, 0], camera="hall", time=3, threshold=0.6)
    assert (first.identity, first.new) == ("unknown-1", True)
    assert (again.identity, again.new, again.observations) == ("unknown-1", False, ())
    assert (other.identity, other.new) == ("unknown-2", True)
    assert gallery.observation_count == 2
    kept = gallery.observe(PEOPLE[0, 2], threshold=0.6, keep=True)
    assert len(kept.observations) == 1
    assert gallery.describe("unknown-1").observations == 2
    assert gallery.describe("unknown-1").unknown
    assert [e.action for e in gallery.history("unknown-1")] == ["observe", "seen", "observe"]
    gallery.forget("unknown-2")
    assert gallery.observe(PEOPLE[2, 0], threshold=0.6).identity == "unknown-3"  # numbers are never used twice


def test_observe_needs_a_threshold(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match="needs a threshold"):
        gallery.observe(PEOPLE[0, 0])
    assert len(gallery) == 0


def test_forgetting_leaves_nothing_to_find(filled: Gallery) -> None:
    filled.update("person-1", notes="limps")
    done = filled.forget("person-1", actor="key-7")
    assert done.identities == ("person-1",)
    assert done.observations == 3
    assert "person-1" not in filled
    assert len(filled) == 3
    assert "person-1" not in {m.identity for m in filled.identify(PEOPLE[1, 0])}
    assert filled.identify(PEOPLE[1, 0]).matches[0].distance > 0.3
    log = filled.history()
    for wrong in (0, -1, "x"):
        with pytest.raises(GalleryRequestError, match="limit: expected a whole number of entries, at least 1"):
            filled.history(limit=wrong)  # type: ignore[arg-type]
    assert filled.history(limit=1) == log[:1]
    assert log[0].action == "forget"
    assert log[0].actor == "key-7"
    assert not [e for e in log if e.name == "person-1" or "person-1" in str(e.private) or "limps" in str(e.private)]
    with pytest.raises(GalleryError, match="no identity 'person-1'"):
        filled.forget("person-1")
    with pytest.raises(GalleryError, match="cannot be undone"):
        filled.undo()
    filled.enroll("person-1", vectors=PEOPLE[1])
    assert filled.identify(PEOPLE[1, 0], threshold=0.1).identity == "person-1"


def test_merge_joins_two_and_undo_separates_them(filled: Gallery) -> None:
    merged = filled.merge("person-0", "person-1")
    assert merged.observations == 6
    assert merged.aliases == ("person-1",)
    assert len(filled) == 3
    assert filled.identify(PEOPLE[1, 0], threshold=0.1).identity == "person-0"
    assert filled.describe("person-1").name == "person-0"
    filled.undo()
    assert len(filled) == 4
    assert filled.identify(PEOPLE[1, 0], threshold=0.1).identity == "person-1"
    assert filled.describe("person-0").observations == 3
    with pytest.raises(GalleryError, match="into itself"):
        filled.merge("person-0", "person-0")


def test_forgetting_erases_what_was_merged(filled: Gallery) -> None:
    filled.merge("person-0", "person-1")
    filled.merge("person-2", "person-0")
    assert filled.forget("person-2").observations == 9
    assert [i.name for i in filled.identities()] == ["person-3"]
    assert "person-1" not in filled
    assert "person-0" not in filled


def test_split_and_undo(filled: Gallery) -> None:
    ids = [o.id for o in filled.observations("person-2")]
    made = filled.split("person-2", ids[:1])
    assert (made.name, made.observations, made.unknown) == ("unknown-1", 1, True)
    assert filled.identify(PEOPLE[2, 0], threshold=0.01).identity == "unknown-1"
    filled.undo()
    assert "unknown-1" not in filled
    assert filled.describe("person-2").observations == 3
    with pytest.raises(GalleryError, match="not one of its own"):
        filled.split("person-1", ids[:1])
    with pytest.raises(GalleryError, match="all of its observations"):
        filled.split("person-2", ids)


def test_what_was_agreed_holds_for_both_parts_of_a_split(filled: Gallery) -> None:
    filled.update("person-2", notes="tall", consent="form 3", expires=5000)
    made = filled.split("person-2", [filled.observations("person-2")[0].id], name="Bea")
    assert (made.name, made.unknown, made.consent, made.expires) == ("Bea", False, "form 3", 5000)
    assert filled.describe("person-2").notes == "tall"
    assert [event.action for event in filled.history("person-2")][:2] == ["split", "update"]
    assert filled.history("Bea")[0].action == "split"
    assert set(filled.purge(5000).identities) == {"person-2", "Bea"}


def test_undo_takes_enrolments_back(filled: Gallery) -> None:
    filled.enroll("person-0", vectors=people(1, 2, seed=8)[0])
    filled.undo()
    assert filled.describe("person-0").observations == 3
    filled.undo()
    assert "person-3" not in filled
    assert len(filled) == 3
    event = next(e for e in filled.history("person-0") if e.action == "enroll" and not e.undone)
    filled.undo(event.id)
    assert "person-0" not in filled
    with pytest.raises(GalleryError, match="undone already"):
        filled.undo(event.id)


def test_undo_refuses_what_later_changes_build_upon(filled: Gallery) -> None:
    event = filled.history("person-0")[-1]
    filled.merge("person-0", "person-1")
    with pytest.raises(GalleryError, match="came later"):
        filled.undo(event.id)
    assert filled.describe("person-0").observations == 6


def test_update_and_undo(filled: Gallery) -> None:
    filled.update(
        "person-0", name="Ada", notes="left-handed", consent="form 12", expires=dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    )
    ada = filled.describe("Ada")
    assert (ada.notes, ada.consent, ada.expires) == ("left-handed", "form 12", 1893456000.0)
    assert "person-0" not in filled
    assert filled.identify(PEOPLE[0, 0], threshold=0.1).identity == "Ada"
    with pytest.raises(GalleryError, match="already"):
        filled.rename("Ada", "person-1")
    filled.undo()
    assert filled.describe("person-0").notes == ""
    assert filled.describe("person-0").expires is None
    filled.update("person-0", expires="2030-01-01")
    filled.update("person-0", expires="never")
    assert filled.describe("person-0").expires is None


def test_undoing_a_renaming_does_not_take_a_name_away(filled: Gallery) -> None:
    filled.rename("person-0", "Ada")
    renaming = filled.history("Ada")[0].id
    filled.enroll("person-0", vectors=people(1, 1, seed=5)[0])
    with pytest.raises(GalleryRequestError, match="'person-0' was given to somebody else since; rename or forget"):
        filled.undo(renaming)
    assert filled.describe("Ada").observations == 3
    assert filled.describe("person-0").observations == 1
    assert filled.history("Ada")[0].undone is False
    filled.rename("person-0", "person-9")
    filled.undo(renaming)
    assert filled.describe("person-0").observations == 3
    assert filled.forget("person-0").observations == 3
    assert filled.forget("person-9").observations == 1


def test_undoing_a_renaming_spares_second_names_too(filled: Gallery) -> None:
    filled.rename("person-0", "Ada")
    renaming = filled.history("Ada")[0].id
    filled.rename("person-1", "person-0")
    filled.merge("person-2", "person-0")
    with pytest.raises(GalleryRequestError, match="as a second name of 'person-2'"):
        filled.undo(renaming)
    assert [i.name for i in filled.identities()] == ["Ada", "person-2", "person-3"]
    filled.forget("person-2")
    filled.undo(renaming)
    assert [i.name for i in filled.identities()] == ["person-0", "person-3"]


def test_a_name_belongs_to_one_identity_in_the_store_itself(filled: Gallery) -> None:
    store = filled._store
    for record in (IdentityRecord(0, "person-1"), replace(store.find(["person-0"])["person-0"], name="person-1")):
        with pytest.raises(GalleryRequestError, match="'person-1' already"), store.transaction():
            store.put_identity(record)

    def put_twice() -> None:
        with store.transaction():
            for _ in range(2):
                store.put_identity(IdentityRecord(0, "twice"))

    with pytest.raises(GalleryRequestError, match="'twice' already"):
        put_twice()
    assert [i.name for i in filled.identities()] == [f"person-{number}" for number in range(4)]
    assert filled.describe("person-1").observations == 3


def test_purge_forgets_who_has_expired(filled: Gallery) -> None:
    filled.update("person-0", expires="2020-01-01")
    filled.update("person-1", expires="2020-01-02")
    filled.update("person-2", expires="2999-01-01")
    assert filled.purge("2019-12-31").identities == ()
    assert set(filled.purge().identities) == {"person-0", "person-1"}
    assert [i.name for i in filled.identities()] == ["person-2", "person-3"]


def test_a_merge_keeps_the_earlier_retention_date(filled: Gallery) -> None:
    filled.update("person-0", expires=200)
    filled.update("person-1", expires=100)
    assert filled.merge("person-0", "person-1").expires == 100
    filled.undo()
    assert filled.describe("person-0").expires == 200


def test_many_are_enrolled_at_once_and_taken_back_at_once(filled: Gallery) -> None:
    rows = people(5, 2, seed=4).reshape(10, DIM)
    names = [f"crowd-{i // 2}" for i in range(10)]
    ids = filled.enroll_many(names, rows, cameras=["gate"] * 10)
    assert len(ids) == 10
    assert len(filled) == 9
    assert filled.identify(rows[7], threshold=0.01).identity == "crowd-3"
    filled.undo()
    assert len(filled) == 4
    assert filled.observation_count == 12


def test_another_process_sees_changes(tmp_path: Path, store: str, filled: Gallery) -> None:
    if store.endswith(".db"):
        pytest.skip("milvus-lite locks its folder: one process at a time")
    with open_gallery(tmp_path, store) as second:
        assert len(second) == 4
        second.enroll("late", vectors=people(1, 1, seed=77)[0])
        assert filled.identify(people(1, 1, seed=77)[0], threshold=0.01).identity == "late"
        filled.forget("person-0")
        assert "person-0" not in second
        assert "person-0" not in {m.identity for m in second.identify(PEOPLE[0, 0])}


def test_everything_is_there_after_reopening(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        gallery.enroll("Ada", [picture(1), picture(2)], camera="door", time="2026-05-01", notes="n", consent="c")
        gallery.set_threshold(0.25)
        gallery.enroll("Bob", picture(3))
        gallery.forget("Bob")
        before = gallery.identities(), gallery.observations(), gallery.history()
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        assert (gallery.identities(), gallery.observations(), gallery.history()) == before
        assert gallery.threshold == 0.25
        assert gallery.fingerprint == "tiny-1"
        assert gallery.identify(picture(2)).identity == "Ada"


def test_another_encoders_vectors_are_refused(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        gallery.enroll("Ada", picture(1))
    other = TinyEncoder("tiny-2")
    other.provenance = {"recipe": "finetune", "data": {"name": "people"}}  # type: ignore[attr-defined]
    given = r"a run of the recipe finetune on people \(fingerprint tiny-2\)"
    with pytest.raises(GalleryError, match=rf"the fingerprint tiny-1, opened with {given}: .*enrol the images anew"):
        open_gallery(tmp_path, store, other)
    with pytest.raises(GalleryError, match="tiny-1"):
        open_gallery(tmp_path, store, fingerprint="tiny-2")
    with open_gallery(tmp_path, store) as gallery:
        with pytest.raises(GalleryError, match="where yours come from"):
            gallery.identify(PEOPLE[0, 0])
        with pytest.raises(GalleryError, match="where yours come from"):
            gallery.enroll("Eve", vectors=PEOPLE[0])
        with pytest.raises(GalleryError, match="without an encoder"):
            gallery.identify(picture(1))
        assert [i.name for i in gallery.identities()] == ["Ada"]
    with open_gallery(tmp_path, store, fingerprint="tiny-1") as gallery:
        assert gallery.identify(TinyEncoder().encode([picture(1)])[0], threshold=0.1).identity == "Ada"


def test_a_gallery_of_a_known_public_encoder_names_it(tmp_path: Path, store: str) -> None:
    retail = hub_info("retail-0277").calibration["fingerprint"]
    with open_gallery(tmp_path, store, TinyEncoder(retail)) as gallery:
        gallery.enroll("Ada", picture(1))
    with pytest.raises(GalleryError) as refused:
        open_gallery(tmp_path, store, fingerprint="tiny-2")
    assert f"made with hub:retail-0277 (fingerprint {retail}), opened with" in str(refused.value)
    assert "Open it with hub:retail-0277, or enrol the images anew" in str(refused.value)


def test_thumbnails_are_kept_and_forgotten(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        (first,) = gallery.enroll("Ada", picture(1, 256, 128))
        assert (gallery.thumbnail(first) or b"").startswith(b"\xff\xd8")
        (second,) = gallery.enroll("Bare", vectors=PEOPLE[0, 0])
        assert gallery.thumbnail(second) is None
        gallery.forget("Ada")
        with pytest.raises(GalleryError, match="no observation"):
            gallery.thumbnail(first)


def test_what_is_not_there_is_told_apart_from_damage(gallery: Gallery) -> None:
    ask: Callable[[], object]
    for ask in (lambda: gallery.thumbnail(1), lambda: gallery.vectors([1]), lambda: gallery.describe("Ada")):
        with pytest.raises(NotInGalleryError, match="no "):
            ask()
    assert gallery.vectors([]).shape[0] == 0
    gallery.enroll("Ada", vectors=PEOPLE[0])
    for ask in (lambda: gallery.thumbnail(10**6), lambda: gallery.undo(10**6), lambda: gallery.forget("ada")):
        with pytest.raises(NotInGalleryError, match="no "):
            ask()
    for wrong in (lambda: gallery.identify(np.ones(3)), lambda: gallery.enroll("", vectors=PEOPLE[0])):
        with pytest.raises(GalleryRequestError):
            wrong()


def test_notes_in_the_log(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.log("asked")
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.enroll("Bob", vectors=PEOPLE[1])
        gallery.merge("Ada", "Bob")
        gallery.log("identify", identity="Ada", actor="desk", distance=0.5)
        gallery.log_many([])
        gallery.log_many(
            [
                Note("identify", "Bob", "desk", {"distance": 0.25}),
                Note("identify", "Nobody", "gate"),
                Note("identify", None, "gate", {"verdict": "unknown"}),
            ]
        )
        with pytest.raises(NotInGalleryError):
            gallery.log("identify", identity="Nobody")
        entries = [(e.action, e.name, e.actor, dict(e.detail)) for e in gallery.history()][:4]
        assert entries == [
            ("identify", None, "gate", {"verdict": "unknown"}),
            ("identify", None, "gate", {}),
            ("identify", "Ada", "desk", {"distance": 0.25}),
            ("identify", "Ada", "desk", {"distance": 0.5}),
        ]
        assert gallery.undo().action == "merge"
    with open_gallery(tmp_path, store, read_only=True) as gallery, pytest.raises(StorageError, match="reading only"):
        gallery.log_many([Note("identify")])


def test_export_and_import(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        gallery.enroll("Ada", [picture(1), picture(2)], camera="door", time=5, consent="form 1", expires=9e9)
        gallery.enroll("Bob", picture(3))
        gallery.observe(picture(4))
        assert gallery.export_parquet(tmp_path / "out.parquet") == 4
    (tmp_path / "other").mkdir()
    with open_gallery(tmp_path / "other", store, TinyEncoder()) as copy:
        assert copy.import_parquet(tmp_path / "out.parquet") == 4
        assert [i.name for i in copy.identities()] == ["Ada", "Bob", "unknown-1"]
        assert copy.describe("Ada").consent == "form 1"
        assert copy.describe("Ada").expires == 9e9
        assert copy.describe("unknown-1").unknown
        assert copy.identify(picture(2)).identity == "Ada"
        assert copy.thumbnail(copy.observations("Bob")[0].id) is not None
        copy.undo()
        assert len(copy) == copy.observation_count == 0
    with (
        open_gallery(tmp_path / "other", store, fingerprint="tiny-1") as copy,
        pytest.raises(GalleryError, match="not a readable Parquet"),
    ):
        copy.import_parquet(Path(__file__))


BAD_INPUT: dict[str, tuple[Callable[[Any], object], str]] = {
    "another dimension": (lambda g: g.enroll("x", vectors=np.ones((2, DIM + 1))), "16 numbers"),
    "a probe of another dimension": (lambda g: g.identify(np.ones(DIM + 1)), "16 numbers"),
    "nan": (lambda g: g.enroll("x", vectors=np.full(DIM, np.nan)), "NaN"),
    "length zero": (lambda g: g.identify(np.zeros(DIM)), "length zero"),
    "an empty name": (lambda g: g.enroll("", vectors=np.ones(DIM)), "printable"),
    "a control character": (lambda g: g.enroll("a\nb", vectors=np.ones(DIM)), "printable"),
    "nothing": (lambda g: g.enroll("x"), "images or vectors"),
    "both": (lambda g: g.enroll("x", picture(1), vectors=np.ones(DIM)), "one of the two"),
    "too many cameras": (lambda g: g.enroll("x", vectors=np.ones(DIM), camera=["a", "b"]), "2 values for 1"),
    "a time without zone": (lambda g: g.enroll("x", vectors=np.ones(DIM), time="2026-05-01T12:00:00"), "time zone"),
    "a time that is none": (lambda g: g.identify(np.ones(DIM), after="yesterday"), "ISO 8601"),
    "a window backwards": (lambda g: g.identify(np.ones(DIM), after=2, before=1), "time window"),
    "top 0": (lambda g: g.identify(np.ones(DIM), top=0), "at least 1"),
    "a negative threshold": (lambda g: g.identify(np.ones(DIM), threshold=-1), "0 or more"),
    "an unknown score": (lambda g: g.identify(np.ones(DIM), score="median"), "'centroid'"),
    "an image without encoder": (lambda g: g.identify(picture(1)), "without an encoder"),
    "an unknown identity": (lambda g: g.merge("person-0", "nobody"), "no identity 'nobody'"),
    "an unknown event": (lambda g: g.undo(999), "no change 999"),
    "unequal lengths": (lambda g: g.enroll_many(["a"], np.ones((2, DIM))), "1 identities for 2"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_and_changes_nothing(unchanged: Gallery, case: str) -> None:
    attempt, message = BAD_INPUT[case]
    before = unchanged.identities(), len(unchanged.history())
    with pytest.raises(GalleryError, match=message):
        attempt(unchanged)
    assert (unchanged.identities(), len(unchanged.history())) == before

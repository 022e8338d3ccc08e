"""Sightings of a gallery, in every store: stored, read, moved with their identity, and erased with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contracts.galleries import DIM, STORES, TinyEncoder, location, open_gallery, people, picture

from passerby.embedding.tracklet import Tracklet
from passerby.errors import GalleryError, NotInGalleryError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import thumbnail
from passerby.gallery.migrate import migrate
from passerby.gallery.result_types import Sighting
from passerby.gallery.sighting_files import SCHEMA

PEOPLE = people(6, 8)
NOON = 1_780_000_000.0


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gallery(tmp_path: Path, store: str) -> Iterator[Gallery]:
    with open_gallery(tmp_path, store) as opened:
        opened.set_threshold(0.6)
        opened.enroll("ada", vectors=PEOPLE[0, :2], camera="door")
        opened.enroll("bob", vectors=PEOPLE[1, :2], camera="door")
        yield opened


def tracklet(
    vectors: np.ndarray, start: float, *, camera: str = "hall", source: str = "hall.mp4", first: int = 1, **extra: Any
) -> Tracklet:
    n = len(vectors)
    frames, times = np.arange(first, first + n), (start + 0.5 * np.arange(n)).astype(np.float64)
    return Tracklet(
        camera, frames, times, np.zeros((n, 4), np.float32), np.ones(n, np.float32), vectors,
        frames, np.ones(n, np.float32), source=source, **extra,
    )  # fmt: skip


def plain(sightings: list[Sighting]) -> list[tuple[Any, ...]]:
    return [(s.identity, s.camera, s.start, s.new) for s in sightings]


def test_every_sighting_is_stored_and_read_back(gallery: Gallery) -> None:
    seen = gallery.observe(
        PEOPLE[0, 3], camera="hall", time=NOON, end=NOON + 4, source="films/hall.mp4", frames=(10, 50), actor="k"
    )
    assert (seen.identity, seen.new, seen.observations) == ("ada", False, ())
    assert seen.identification is not None
    stranger = gallery.observe([PEOPLE[2, 0], PEOPLE[2, 1]], camera="yard", time=NOON + 9)
    assert (stranger.identity, stranger.new, len(stranger.observations)) == ("unknown-1", True, 2)
    one, two = gallery.sightings()
    assert one == Sighting(**{**vars(seen), "identification": None})
    assert two == Sighting(**{**vars(stranger), "identification": None})
    assert (one.camera, one.start, one.end, one.source) == ("hall", NOON, NOON + 4, "films/hall.mp4")
    assert (one.first_frame, one.last_frame, one.frames, two.frames) == (10, 50, 1, 2)
    assert one.distance == pytest.approx(seen.identification.matches[0].distance, abs=1e-6)
    assert one.at > NOON / 2
    assert (one.has_thumbnail, one.has_vector) == (False, False)
    assert "ada at hall, 2026-" in str(one)


def test_sightings_are_chosen_by_person_camera_and_time(gallery: Gallery) -> None:
    gallery.observe(PEOPLE[0, 3], camera="hall", time=100, end=110)
    gallery.observe(PEOPLE[1, 3], camera="hall", time=120)
    gallery.observe(PEOPLE[0, 4], camera="yard", time=130)
    gallery.observe(PEOPLE[0, 5])
    everything = gallery.sightings()
    assert [s.start for s in everything] == [None, 100, 120, 130]
    assert len(gallery.sightings("ada")) == 3
    assert plain(gallery.sightings(camera="hall")) == [("ada", "hall", 100, False), ("bob", "hall", 120, False)]
    assert len(gallery.sightings(camera=["hall", "yard"])) == 3
    assert [s.start for s in gallery.sightings(after=105, before=125)] == [100, 120]  # overlaps count
    assert gallery.sightings(after=110.5, before=119) == []
    assert [s.start for s in gallery.sightings(newest=2)] == [120, 130]
    with pytest.raises(NotInGalleryError):
        gallery.sightings("nobody")
    with pytest.raises(GalleryError, match="after its end"):
        gallery.sightings(after=5, before=4)


def test_a_person_is_described_with_the_sightings(gallery: Gallery) -> None:
    gallery.observe(PEOPLE[0, 3], camera="hall", time=100, end=110)
    ada, bob = gallery.identities()
    assert (ada.sightings, ada.cameras, ada.first_seen, ada.last_seen) == (1, ("door", "hall"), 100, 110)
    assert (bob.sightings, bob.cameras, bob.first_seen) == (0, ("door",), None)
    assert gallery.describe("ada") == ada


def test_merging_splitting_and_undoing_carry_sightings_along(gallery: Gallery) -> None:
    gallery.observe(PEOPLE[2, 0], camera="yard", time=1)
    gallery.observe(PEOPLE[2, 1], camera="yard", time=2)
    gallery.observe(PEOPLE[0, 3], camera="yard", time=3)
    assert gallery.merge("ada", "unknown-1").sightings == 3
    assert [s.identity for s in gallery.sightings()] == ["ada"] * 3
    gallery.undo()
    assert [s.identity for s in gallery.sightings()] == ["unknown-1", "unknown-1", "ada"]
    gallery.merge("ada", "unknown-1")
    made = gallery.sightings("ada")[0]
    parted = gallery.split("ada", made.observations, name="cyd")  # its own sighting goes with an observation
    assert (parted.observations, parted.sightings) == (1, 1)
    gallery.undo()
    assert len(gallery.sightings("ada")) == 3
    seen = gallery.sightings("ada")[1]
    assert gallery.split("ada", sightings=[seen.id]).sightings == 1
    assert gallery.sightings("unknown-2") == [Sighting(**{**vars(seen), "identity": "unknown-2"})]
    gallery.undo()
    assert "unknown-2" not in gallery
    assert len(gallery.sightings("ada")) == 3
    with pytest.raises(GalleryError, match="not one of its own"):
        gallery.split("bob", sightings=[seen.id])


def test_undoing_an_observation_erases_its_sighting(gallery: Gallery) -> None:
    gallery.observe(PEOPLE[0, 3], time=1, camera="hall", keep=True)
    gallery.observe(PEOPLE[0, 4], time=2, camera="hall")
    gallery.undo()
    assert [s.start for s in gallery.sightings("ada")] == [2]
    gallery.observe(PEOPLE[3, 0], time=3, camera="hall")
    gallery.observe(PEOPLE[3, 1], time=4, camera="hall")
    gallery.undo()  # makes no unknown: nothing of it is left
    assert [s.start for s in gallery.sightings()] == [2]
    gallery.check()


def test_forgetting_erases_the_sightings_too(gallery: Gallery) -> None:
    gallery.set_sightings(keep_vectors=True)
    for time in (1, 2):
        gallery.observe(PEOPLE[0, 2 + time], camera="hall", time=time)
    gallery.observe(PEOPLE[1, 3], camera="hall", time=3)
    first = gallery.sightings("ada")[0].id
    assert gallery.forget("ada").sightings == 2
    assert [s.identity for s in gallery.sightings()] == ["bob"]
    with pytest.raises(NotInGalleryError):
        gallery.sighting_thumbnail(first)
    assert {found.sighting.identity for found in gallery.find_sightings(PEOPLE[0, 3])} == {"bob"}
    assert all(not event.detail for event in gallery.history() if event.action == "seen" and event.name is None)
    again = gallery.observe(PEOPLE[2, 0], camera="hall", time=9)
    assert again.id > first
    gallery.check()
    gallery.compact()
    gallery.check()
    assert [s.id for s in gallery.sightings()][-1] == again.id


def test_sightings_have_a_retention_of_their_own(gallery: Gallery) -> None:
    gallery.set_sightings(expire_after=3600)
    assert gallery.sightings_expire_after == 3600
    gallery.observe(PEOPLE[0, 3], camera="hall", time=NOON, end=NOON + 10)
    gallery.observe(PEOPLE[0, 4], camera="hall", time=NOON + 60)
    gallery.observe(PEOPLE[0, 5], camera="hall", time=12.5)  # a moment of a film: counted from when it was stored
    assert gallery.purge(now=NOON + 3600).sightings == 0
    erased = gallery.purge(now=NOON + 3615)
    assert (erased.sightings, erased.identities) == (1, ())
    assert len(gallery.sightings("ada")) == 2
    assert "ada" in gallery
    assert gallery.purge(now="9000-01-01").sightings == 2
    gallery.undo(next(e.id for e in gallery.history() if e.action == "sightings"))
    assert not gallery.sightings_expire_after
    for wrong in (0, -1, float("nan")):
        with pytest.raises(GalleryError, match="expire_after"):
            gallery.set_sightings(expire_after=wrong)


def test_past_sightings_are_found_by_likeness(gallery: Gallery) -> None:
    gallery.observe(PEOPLE[0, 2], camera="hall", time=1)
    with pytest.raises(GalleryError, match="no vectors of sightings"):
        gallery.find_sightings(PEOPLE[0, 3])
    gallery.set_sightings(keep_vectors=True)
    for person in range(4):
        for view in range(3, 6):
            gallery.observe(PEOPLE[person, view], camera="hall", time=10 * person + view)
    found = gallery.find_sightings(PEOPLE[3, 7], top=4)
    assert [f.sighting.identity for f in found][:3] == ["unknown-2"] * 3
    assert (found.considered, found.without_vector, len(found)) == (12, 1, 4)
    distances = [f.distance for f in found]
    assert distances == sorted(distances)
    expected = np.linalg.norm(PEOPLE[3, 3:6].astype(np.float64) - PEOPLE[3, 7], axis=1)
    assert distances[:3] == pytest.approx(np.sort(expected), abs=1e-4)
    assert len(gallery.find_sightings(PEOPLE[3, 7], camera="yard")) == 0
    assert {f.sighting.start for f in gallery.find_sightings(PEOPLE[3, 7], after=33, before=34)} == {33, 34}
    assert "unknown-2" in str(found)
    gallery.set_sightings(keep_vectors=False)
    with pytest.raises(GalleryError, match="no vectors of sightings"):
        gallery.find_sightings(PEOPLE[3, 7])
    gallery.check()


def test_nobody_is_seen_twice_by_one_camera_at_one_instant(gallery: Gallery) -> None:
    first = gallery.observe(PEOPLE[0, 3], camera="hall", time=5.0)
    twin = gallery.observe(PEOPLE[0, 4], camera="hall", time=5.0)
    assert (first.identity, twin.identity) == ("ada", "unknown-1")
    assert gallery.observe(PEOPLE[0, 5], camera="yard", time=5.0).identity in ("ada", "unknown-1")
    assert gallery.observe(PEOPLE[0, 6], camera="hall", time=5.0, once_per_instant=False).identity != "unknown-2"
    again = gallery.observe(PEOPLE[0, 3], camera="hall", time=5.0)  # the very same picture
    assert (again.identity, again.id, again.new) == ("ada", first.id, False)
    same = gallery.observe(PEOPLE[0, 4], camera="hall", time=5.0)
    assert (same.identity, same.id, same.new) == ("unknown-1", twin.id, False)
    for view in (3, 4):  # a day is not an instant
        assert gallery.observe(PEOPLE[1, view], camera="hall", time="2026-05-01").identity == "bob"


def test_tracklets_are_observed(gallery: Gallery) -> None:
    one = gallery.observe_tracklet(tracklet(PEOPLE[4, :5], 100.0, first=7))
    assert (one.identity, one.new, one.camera, one.start, one.end) == ("unknown-1", True, "hall", 100, 102)
    assert (one.source, one.first_frame, one.last_frame, one.frames) == ("hall.mp4", 7, 11, 5)
    beside = gallery.observe_tracklet(tracklet(PEOPLE[4, 3:], 101.5, first=9))
    assert beside.identity == "unknown-2"  # both were in the picture from 101.5 to 102
    assert gallery.observe_tracklet(tracklet(PEOPLE[4, :5], 100.0, first=7)).id == one.id
    later = gallery.observe_tracklet(tracklet(PEOPLE[4, 2:4], 200.0))
    assert later.identity in ("unknown-1", "unknown-2")
    with pytest.raises(GalleryError, match="no vector"):
        gallery.observe_tracklet(
            Tracklet(
                "hall", np.array([1]), np.zeros(1), np.zeros((1, 4), np.float32), np.ones(1, np.float32),
                np.zeros((0, DIM), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32),
            )
        )  # fmt: skip


def test_few_templates_are_stored_of_each_camera(gallery: Gallery) -> None:
    gallery.set_sightings(templates_per_camera=3)
    gallery.observe_tracklet(tracklet(PEOPLE[4], 100.0))
    assert gallery.describe("unknown-1").observations == 3
    kept = gallery.observe_tracklet(tracklet(PEOPLE[4, 1:6], 200.0), keep=True)
    assert (kept.identity, kept.observations) == ("unknown-1", ())
    assert len(gallery.observe_tracklet(tracklet(PEOPLE[4, 1:6], 200.0, camera="yard"), keep=True).observations) == 3
    gallery.set_sightings(templates_per_camera="any")
    assert len(gallery.observe_tracklet(tracklet(PEOPLE[4, 1:6], 300.0), keep=True).observations) == 5


def test_a_person_whose_sightings_move_away_is_marked(gallery: Gallery) -> None:
    draw = np.random.default_rng(0)
    away = draw.standard_normal(DIM).astype(np.float32)
    for number in range(20):
        gallery.observe(PEOPLE[0, 0] + 0.002 * draw.standard_normal(DIM).astype(np.float32), camera="hall", time=number)
    assert not gallery.describe("ada").drift
    for number in range(5):
        gallery.observe(PEOPLE[0, 0] + 0.05 * away, camera="hall", time=100 + number)
    assert [i.drift for i in gallery.identities()] == [True, False]


def test_templates_that_are_there_are_thinned(gallery: Gallery) -> None:
    gallery.enroll("ada", vectors=PEOPLE[0, 2:6], camera="door", time=7)
    gallery.enroll("ada", vectors=PEOPLE[0, 6:8])
    ids = [one.id for one in gallery.observations()]
    before = gallery.observations(), gallery.vectors(ids).tobytes()
    with pytest.raises(GalleryError, match="no bound of its own"):
        gallery.thin_templates()
    with pytest.raises(GalleryError, match="1 or more"):
        gallery.thin_templates(0)
    gallery.set_sightings(templates_per_camera=3)
    planned = gallery.thin_templates()
    assert str(planned) == "3 observations of 1 people would be taken away, 7 are left"
    assert (gallery.observations(), gallery.vectors(ids).tobytes()) == before
    done = gallery.thin_templates(2, apply=True)
    assert str(done) == "4 observations of 1 people taken away, 6 are left"
    left = gallery.observations("ada")
    assert [one.camera for one in left].count("door") == 2
    assert gallery.thin_templates(2).surplus == 0
    gallery.check()
    assert gallery.undo().action == "thin"
    assert (gallery.observations(), gallery.vectors(ids).tobytes()) == before
    gallery.check()
    gallery.thin_templates(1, identity="ada", apply=True)
    assert len(gallery.observations("bob")) == 2
    gallery.merge("bob", "ada")
    with pytest.raises(GalleryError, match="undo that one first"):
        gallery.undo(next(e.id for e in gallery.history() if e.action == "thin" and not e.undone))
    gallery.forget("bob")
    assert all(not event.private for event in gallery.history())
    gallery.check()


def test_thinned_pictures_come_back_in_several_entries(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        gallery.enroll("ada", [picture(seed, 256, 128) for seed in range(30)], camera="door")
        pictures = [gallery.thumbnail(one.id) for one in gallery.observations()]
        gallery.thin_templates(1, apply=True)
        assert len(gallery.observations()) == 1
        assert len([e for e in gallery.history() if e.action == "thin"]) > 1
        gallery.undo()
        assert [gallery.thumbnail(one.id) for one in gallery.observations()] == pictures


def test_a_camera_whose_sightings_move_away_is_marked(gallery: Gallery) -> None:
    """Everybody is seen differently by it; another camera, and one person alone, change nothing."""
    draw = np.random.default_rng(0)
    away = draw.standard_normal(DIM).astype(np.float32)

    def see(count: int, camera: str, move: float, people: int = 2) -> dict[str | None, bool]:
        for number in range(count):
            noise = 0.01 * draw.standard_normal(DIM).astype(np.float32)
            gallery.observe(PEOPLE[number % people, 0] + noise + move * away, camera=camera)
        return {one.camera: one.drift for one in gallery.sightings_by_camera()}

    assert see(44, "hall", 0.0) == {"hall": False}
    assert see(15, "hall", 0.0) == {"hall": False}
    assert see(44, "yard", 0.05) == {"hall": False, "yard": False}
    assert see(16, "yard", 0.05) == {"hall": False, "yard": False}
    assert see(20, "hall", 0.05) == {"hall": True, "yard": False}


def test_pictures_of_sightings(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store, TinyEncoder()) as gallery:
        gallery.enroll("ada", picture(1))
        seen = gallery.observe(picture(1), camera="hall", time=1)
        assert seen.has_thumbnail
        assert (gallery.sighting_thumbnail(seen.id) or b"")[:2] == b"\xff\xd8"
        mine = thumbnail(picture(9))
        other = gallery.observe(picture(2), camera="hall", time=2, thumbnail=mine)
        assert gallery.sighting_thumbnail(other.id) == mine
    with open_gallery(tmp_path, store, TinyEncoder(), thumbnails=False) as gallery:
        assert not gallery.observe(picture(1), camera="hall", time=3).has_thumbnail


def test_sightings_migrate_to_another_store(tmp_path: Path, store: str) -> None:
    source = tmp_path / "source.gallery"
    with Gallery.open(source, TinyEncoder()) as old:
        old.set_sightings(keep_vectors=True, expire_after=100)
        old.observe(picture(1), camera="hall", time=1, source="hall.mp4", frames=(1, 2))
        old.observe(picture(1), camera="hall", time=2)
        before = old.sightings()
    assert migrate(source, location(tmp_path, store)).sightings == 2
    with open_gallery(tmp_path, store, TinyEncoder()) as new:
        after = new.sightings()
        assert plain(after) == plain(before)
        assert [len(s.observations) for s in after] == [1, 0]
        assert new.sightings_expire_after == 100
        assert len(new.find_sightings(picture(1))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": 5, "end": 4}, "end"),
        ({"end": 4}, "end"),
        ({"frames": (5, 4)}, "frames"),
        ({"source": "x" * 1001}, "source"),
        ({"thumbnail": b"x" * 4001}, "thumbnail"),
    ],
)
def test_bad_sightings_change_nothing(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with open_gallery(tmp_path, "people.gallery") as gallery:
        with pytest.raises(GalleryError, match=message):
            gallery.observe(PEOPLE[0, 0], threshold=0.5, camera="hall", **arguments)
        assert (len(gallery), gallery.sightings()) == (0, [])


def test_unknowns_that_are_one_person_are_consolidated(gallery: Gallery) -> None:
    crowd = people(5, 5, seed=4, spread=0.03)
    gallery.set_sightings(keep_vectors=True)
    for person in range(5):
        for view in range(5):  # a threshold that nobody passes: each is somebody new
            gallery.observe(crowd[person, view], camera="hall", time=100.0 * person + view, threshold=1e-3)
    again = gallery.observe(crowd[4, 3], camera="yard", time=5, threshold=0.5)
    assert len(gallery) == 2 + 25
    proposed = gallery.consolidate()
    assert len(gallery) == 2 + 25
    assert (proposed.unknowns, len(proposed.joined)) == (25, 20)
    assert [p.similarity for p in proposed.joined] == sorted((p.similarity for p in proposed.joined), reverse=True)
    assert "25 unknowns are 5 people" in str(proposed)
    before = {s.id: s.identity for s in gallery.sightings()}
    assert gallery.consolidate(apply=True) == proposed
    assert len(gallery) == 2 + 5
    owners = [{s.identity for s in gallery.sightings(after=100 * p + 0.5, before=100 * p + 4)} for p in range(1, 5)]
    assert all(len(found) == 1 for found in owners)
    assert {s.id: s.identity for s in gallery.sightings()}[again.id] in owners[3]
    assert gallery.consolidate().joined == ()
    gallery.undo()  # all of it
    assert {s.id: s.identity for s in gallery.sightings()} == before
    with pytest.raises(GalleryError, match="least"):
        gallery.consolidate(least=0)


def test_observations_and_retention_dates_go_along_when_many_become_one(gallery: Gallery) -> None:
    crowd = people(4, 8, seed=4, spread=0.03)
    for person in range(4):
        for view in range(8):  # without sightings' vectors: known by their observations
            gallery.observe(crowd[person, view], camera="hall", time=100.0 * person + view, threshold=1e-3)
    gallery.update("unknown-6", expires=NOON)
    before = {one.id: one.identity for one in gallery.observations()}
    found = gallery.consolidate(apply=True)
    assert len(found.joined) > 12  # some of them by way of others
    assert sum(one.observations for one in gallery.identities()) == 4 + 4 * 8
    owners = {one.identity for one in gallery.observations()}
    assert owners == {one.name for one in gallery.identities()}
    whose = [gallery.identify(crowd[0, view], threshold=0.5).identity for view in range(8)]
    assert gallery.describe("unknown-6").expires == gallery.describe(str(whose[5])).expires == NOON
    for name in set(whose):
        assert gallery.describe(str(name)).observations == whose.count(name)
    gallery.undo()
    assert {one.id: one.identity for one in gallery.observations()} == before
    assert [one.name for one in gallery.identities() if one.expires is not None] == ["unknown-6"]


def test_a_sighting_that_was_given_to_the_wrong_unknown_is_moved(gallery: Gallery) -> None:
    crowd = people(8, 8, seed=4, spread=0.03)
    gallery.set_sightings(keep_vectors=True)
    for person in range(8):
        for view in range(7):
            gallery.observe(crowd[person, view], camera="hall", time=100.0 * person + view, threshold=0.7)
    assert len(gallery) == 2 + 8
    own = gallery.identify(crowd[5, 7], threshold=0.7).identity
    stranger = gallery.identify(crowd[6, 7], threshold=0.7).identity
    seen = gallery.observe(crowd[5, 7], camera="hall", time=507, threshold=0.7)
    gallery.merge(str(stranger), gallery.split(str(own), sightings=[seen.id]).name)
    assert gallery.sightings(camera="hall", after=507, before=507)[0].identity == stranger
    found = gallery.consolidate(apply=True)
    assert (found.joined, found.moved) == ((), (seen.id,))
    assert gallery.sightings(camera="hall", after=507, before=507)[0].identity == own
    gallery.undo()
    assert gallery.sightings(camera="hall", after=507, before=507)[0].identity == stranger


def test_those_whom_a_camera_saw_at_once_stay_two(gallery: Gallery) -> None:
    crowd = people(4, 8, seed=4, spread=0.03)
    gallery.set_sightings(keep_vectors=True)
    for person in range(4):
        for view in range(8):  # two and two of each at once
            gallery.observe(crowd[person, view], camera="hall", time=100.0 * person + view // 2, threshold=1e-3)
    gallery.consolidate(apply=True)
    seen: dict[float | None, set[str]] = {}
    for sighting in gallery.sightings():
        assert sighting.identity not in seen.setdefault(sighting.start, set())
        seen[sighting.start].add(sighting.identity)
    assert 2 + 8 <= len(gallery) < 2 + 32


@pytest.fixture
def exported(gallery: Gallery, tmp_path: Path) -> Path:
    """Five sightings in a file: with and without times, frames, pictures."""
    with_pictures = replace(tracklet(PEOPLE[0, 2:5], NOON), thumbnail=thumbnail(picture(1)))
    gallery.observe_tracklet(with_pictures)
    gallery.observe(PEOPLE[0, 5], camera="hall", time=12.5)
    gallery.observe(PEOPLE[1, 3])
    gallery.observe(PEOPLE[1, 4], camera="yard", time=NOON, end=NOON + 5, source='a "film", 2.mp4', frames=(3, 9))
    gallery.observe(PEOPLE[2, 0], camera="yard", time=NOON + 9)
    path = tmp_path / "seen.parquet"
    assert gallery.export_sightings(path) == 5
    return path


def values(sightings: list[Sighting]) -> list[dict[str, Any]]:
    """What a file holds of sightings."""
    left_out = {"id", "observations", "identification", "has_vector"}
    return [{name: value for name, value in asdict(one).items() if name not in left_out} for one in sightings]


def test_sightings_come_back_from_a_file(gallery: Gallery, exported: Path, tmp_path: Path, store: str) -> None:
    before = gallery.sightings()
    assert str(gallery.import_sightings(exported)) == "0 sightings added, 5 were there already"
    assert len(gallery.sightings()) == 5
    csv = tmp_path / "seen.csv"
    gallery.export_sightings(csv)
    with Gallery.open(tmp_path / "copy.gallery") as copy:
        for who, name in enumerate(("ada", "bob", "unknown-1")):
            copy.enroll(name, vectors=PEOPLE[who, :2])
        for path in (exported, csv):
            added = copy.import_sightings(path, actor="me")
            assert (added.added, added.repeated) == (5, 0)
            found = values(copy.sightings())
            expected = values(before)
            if path is csv:
                assert not any(one.pop("has_thumbnail") for one in found)
                [one.pop("has_thumbnail") for one in expected]
            assert found == expected
            assert copy.import_sightings(path).repeated == 5
            copy.check()
            assert (copy.undo().action, copy.sightings()) == ("import_sightings", [])


def test_an_import_of_sightings_is_taken_back_whole(gallery: Gallery, exported: Path) -> None:
    ids = [one.id for one in gallery.sightings()]
    last = gallery.sightings("bob")
    gallery.forget("ada")
    gallery.enroll("ada", vectors=PEOPLE[0, :2])
    assert (gallery.import_sightings(exported).added, len(gallery.sightings("ada"))) == (2, 2)
    gallery.merge("bob", "ada")
    assert len(gallery.sightings("bob")) == len(last) + 2
    gallery.undo(next(e.id for e in gallery.history() if e.action == "import_sightings"))
    assert [one.id for one in gallery.sightings("bob")] == [one.id for one in last]
    assert {one.id for one in gallery.sightings()} < set(ids)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("identity", "nobody", "nobody called 'nobody'"),
        ("identity", "a\x00b", "identity"),
        ("camera", "", "camera"),
        ("start", float("inf"), "row 1: time"),
        ("end", 5.0, "end: expected a moment not before"),
        ("distance", 3.0, "distance: expected a number from 0 to 2"),
        ("distance", float("nan"), "distance"),
        ("p_value", -0.5, "p_value"),
        ("frames", 0, "frames: expected a whole number of 1 or more"),
        ("first_frame", None, "expected both or none"),
        ("last_frame", -4, "last_frame"),
        ("source", "x" * 2000, "source"),
        ("stored", float("nan"), "stored"),
        ("thumbnail", b"<script>", "thumbnail"),
    ],
)
def test_sightings_that_could_not_be_stored_are_not_imported(
    tmp_path: Path, column: str, value: Any, message: str
) -> None:
    rows: dict[str, list[Any]] = {
        "identity": ["ada", "ada"], "camera": ["hall"] * 2, "start": [NOON] * 2, "end": [NOON + 1] * 2,
        "distance": [0.1] * 2, "p_value": [0.01] * 2, "frames": [2] * 2, "first_frame": [1] * 2, "last_frame": [2] * 2,
        "source": [""] * 2, "stored": [NOON] * 2, "thumbnail": [None] * 2,
    }  # fmt: skip
    rows[column][1] = value
    path = tmp_path / "seen.parquet"
    pq.write_table(pa.table({name: pa.array(column, SCHEMA.field(name).type) for name, column in rows.items()}), path)
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        with pytest.raises(GalleryError, match=message) as caught:
            gallery.import_sightings(path)
        assert "row 1" in str(caught.value)
        assert "nothing was imported" in str(caught.value)
        assert gallery.sightings() == []
        assert [event.action for event in gallery.history()] == ["enroll"]


def test_files_that_hold_no_sightings(tmp_path: Path) -> None:
    broken, csv, extra, typed = (tmp_path / name for name in ("a.parquet", "b.csv", "c.csv", "d.parquet"))
    broken.write_bytes(b"PAR1 broken")
    csv.write_text("identity,start\nada,noon\n")
    extra.write_text("identity,mood\nada,happy\n")
    pq.write_table(pa.table({"identity": ["ada"], "start": ["noon"]}), typed)
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        for path, message in (
            (broken, "cannot be read as sightings"), (csv, "cannot be read as sightings"), (extra, "column 'mood'"),
            (typed, "column 'start'"), (tmp_path / "none.csv", "no such file"), (tmp_path / "x.txt", "by the file's"),
        ):  # fmt: skip
            with pytest.raises(GalleryError, match=message):
                gallery.import_sightings(path)
        (tmp_path / "few.csv").write_text("identity,camera,start\nada,,5\nada,hall,\n")
        assert gallery.import_sightings(tmp_path / "few.csv").added == 2
        assert [(s.camera, s.start, s.end, s.frames) for s in gallery.sightings()] == [
            ("hall", None, None, 1), (None, 5.0, 5.0, 1),
        ]  # fmt: skip

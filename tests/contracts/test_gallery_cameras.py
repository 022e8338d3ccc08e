"""One rule for cameras in every store: one camera in any writing of its name, and -1 is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import STORES, location, open_gallery, people

from passerby.errors import GalleryRequestError
from passerby.gallery.gallery import Gallery
from passerby.gallery.migrate import migrate
from passerby.gallery.stores.milvus.cameras import CameraNames

PEOPLE = people(8, 6)
FIRST: tuple[str | int, ...] = ("1", "01", "1.0", 1)
SECOND: tuple[str | int, ...] = ("3", "03", "3.0", 3)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def older_codes(db: sqlite3.Connection, cameras: Sequence[str | None]) -> dict[str | None, int | None]:
    """What an older version did: a number for each writing."""
    codes: dict[str | None, int | None] = {None: None}
    for name in sorted({camera for camera in cameras if camera is not None}):
        db.execute("INSERT OR IGNORE INTO cameras (name) VALUES (?)", (name,))
        (codes[name],) = db.execute("SELECT id FROM cameras WHERE name = ?", (name,)).fetchone()
    return codes


def fill(gallery: Gallery) -> None:
    """Everybody enrolled and seen by one camera in several writings."""
    gallery.set_sightings(keep_vectors=True)
    gallery.set_threshold(0.5)
    for place, camera in enumerate(FIRST):
        gallery.enroll(f"p{place}", vectors=PEOPLE[place, :2], camera=camera)
    for place, camera in enumerate(SECOND):
        gallery.observe(PEOPLE[place, 2], camera=camera, time=10 * place)


def filled_by_an_older_version(folder: Path, store: str) -> None:
    with pytest.MonkeyPatch.context() as patch, open_gallery(folder, store) as gallery:
        patch.setattr("passerby.gallery.stores.sqlite.store.camera_codes", older_codes)
        patch.setattr("passerby.gallery.stores.sqlite.sightings.camera_codes", older_codes)
        patch.setattr("passerby.gallery.argument_checks.is_unknown", lambda name: False)
        patch.setattr(CameraNames, "one", lambda self, name: name or None)
        fill(gallery)
        gallery.enroll("nowhere", vectors=PEOPLE[5, :2], camera=-1)
        gallery.observe(PEOPLE[5, 2], camera=-1, time=100)


def check_that_each_is_one(gallery: Gallery) -> None:
    for camera in (*FIRST, " 001"):
        assert not [m for m in gallery.identify(PEOPLE[0, 3], camera=camera).matches if m.identity.startswith("p")]
    assert len(gallery.identify(PEOPLE[0, 3], camera="3").matches) >= 4
    assert len(gallery.identify(PEOPLE[0, 3], exclude_camera=["9", "01"]).matches) < 4
    for camera in SECOND:
        assert len(gallery.sightings(camera=camera)) == 4
        assert len(gallery.sightings(camera=camera, newest=3)) == 3
        assert len(gallery.find_sightings(PEOPLE[0, 3], camera=camera).results) == 4
    assert {m.camera for m in gallery.identify(PEOPLE[0, 3], exclude_camera=False).matches} - {None} == {
        gallery.identify(PEOPLE[0, 3], exclude_camera=False).matches[0].camera
    }
    by_camera = {one.camera: one for one in gallery.sightings_by_camera() if one.camera is not None}
    assert [(one.sightings, one.identities) for one in by_camera.values()] == [(4, 4)]
    assert all(len(identity.cameras) <= 2 for identity in gallery.identities())
    rows = gallery._store.enrolled_rows()
    assert len(np.unique(rows.cameras[rows.cameras >= 0])) == 1
    gallery.check()


def test_one_camera_in_any_writing(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        fill(gallery)
        check_that_each_is_one(gallery)
        assert {one.camera for one in gallery.sightings()} == {"3"}
        assert {one.camera for one in gallery.observations()} == {"1"}
        gallery.enroll("z", vectors=PEOPLE[4, :1], camera="07")
        assert gallery.describe("z").cameras == ("07",)  # as it was written first


def test_writings_that_an_older_version_stored_are_one(tmp_path: Path, store: str) -> None:
    filled_by_an_older_version(tmp_path, store)
    with open_gallery(tmp_path, store) as gallery:
        check_that_each_is_one(gallery)
        nowhere = gallery.describe("nowhere")
        assert (nowhere.cameras, nowhere.sightings) == ((), 1)
        assert gallery.identify(PEOPLE[5, 3], camera=-1).identity == "nowhere"
        gallery.enroll("p0", vectors=PEOPLE[0, 4:5], camera="0001")
        check_that_each_is_one(gallery)
    migrate(location(tmp_path, store), tmp_path / "copy.gallery")
    with Gallery.open(tmp_path / "copy.gallery") as gallery:
        check_that_each_is_one(gallery)


def test_a_person_has_so_many_templates_of_a_camera_in_all_writings(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.set_threshold(0.5)
        gallery.set_sightings(templates_per_camera=2)
        gallery.enroll("Ada", vectors=PEOPLE[0, :1], camera="1")
        for view, camera in enumerate(("01", "1.0", "1", "001"), 1):
            gallery.observe(PEOPLE[0, view], camera=camera, time=10 * view, keep=True)
        assert gallery.describe("Ada").observations == 2


def test_nobody_is_seen_twice_at_once_by_one_camera_in_two_writings(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.set_threshold(0.5)
        first = gallery.observe(PEOPLE[0, 0], camera="1", time=10.0, end=12.0)
        second = gallery.observe(PEOPLE[0, 1], camera="01", time=11.0, end=13.0)
        assert first.identity != second.identity


def test_sightings_that_are_there_in_another_writing_are_not_imported_again(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.set_threshold(0.5)
        gallery.enroll("Ada", vectors=PEOPLE[0, :2])
        gallery.observe(PEOPLE[0, 2], camera="3", time=1)
        (tmp_path / "seen.csv").write_text("identity,camera,start,end\nAda,03,50,51\nAda,3.0,60,61\n")
        assert gallery.import_sightings(tmp_path / "seen.csv").added == 2
        assert gallery.import_sightings(tmp_path / "seen.csv").repeated == 2
        assert {one.camera for one in gallery.sightings()} == {"3"}


@pytest.mark.parametrize("camera", [-1, "-1", "-1.0"])
def test_minus_one_is_no_camera(tmp_path: Path, store: str, camera: int | str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.set_threshold(0.5)
        gallery.enroll("Ada", vectors=PEOPLE[0, :2], camera=camera)
        gallery.observe(PEOPLE[0, 2], camera=camera, time=1)
        assert gallery.describe("Ada").cameras == ()
        assert gallery.identify(PEOPLE[0, 3], camera=camera).identity == "Ada"
        for ask in (
            lambda: gallery.sightings(camera=camera),
            lambda: gallery.identify(PEOPLE[0, 3], exclude_camera=[camera]),
        ):
            with pytest.raises(GalleryRequestError, match="stands for a camera that is not known"):
                ask()

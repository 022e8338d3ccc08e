"""What others do to a gallery's file, and what fails after a change is on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import people

from passerby.errors import GalleryError, GalleryRequestError, StorageError
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.sqlite import file_guard
from passerby.gallery.stores.sqlite.store import SqliteStore

PEOPLE = people(8, 3)
linux = pytest.mark.skipif(sys.platform != "linux", reason="locks that belong to a descriptor")


def names(gallery: Gallery) -> list[str]:
    return [identity.name for identity in gallery.identities()]


def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )


# -- after COMMIT ------------------------------------------------------------------------------------------------------


class FailingCheckpoint:
    """A connection whose log cannot be emptied."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if "wal_checkpoint" in statement:
            raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self.db, name)


def test_a_log_that_cannot_be_emptied_is_pending_and_not_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.enroll("Bob", vectors=PEOPLE[1])
        store: SqliteStore = gallery._store._store  # type: ignore[attr-defined]
        sound = store._db
        store._db = FailingCheckpoint(sound)  # type: ignore[assignment]
        try:
            assert gallery.forget("Ada").pending
            gallery.enroll("Cy", vectors=PEOPLE[2])  # while an erasure is pending, too
            assert gallery.pending_erasure
            assert names(gallery) == ["Bob", "Cy"]
        finally:
            store._db = sound
        assert gallery.purge().pending == ""
        assert gallery.pending_erasure == ""


def test_what_cannot_be_read_after_a_commit_is_read_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        original = SqliteStore._refresh

        def refresh(self: SqliteStore, *, force: bool = False) -> None:
            if force:
                raise StorageError("the disk failed; nothing was changed")
            original(self)

        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "_refresh", refresh)
            gallery.enroll("Bob", vectors=PEOPLE[1])
        assert names(gallery) == ["Ada", "Bob"]


KILLED = """
    import os, sys
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.stores.sqlite.store import SqliteStore
    gallery = Gallery.open(sys.argv[1])
    SqliteStore._empty_log = lambda *_, **__: os.kill(os.getpid(), 9)
    gallery.forget("Somebody Whom Nobody Knows")
"""


def every_byte(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(path.name + "*")))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_opening_finishes_the_erasure_of_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Somebody Whom Nobody Knows", vectors=PEOPLE[0])
        gallery.enroll("Bob", vectors=PEOPLE[1])
        assert run_python(KILLED, path).returncode == -9
        assert b"Somebody Whom" in every_byte(path)
    with Gallery.open(path, read_only=True) as gallery:
        assert gallery.pending_erasure  # somebody who only reads cannot
    with Gallery.open(path) as gallery:
        assert b"Somebody Whom" not in every_byte(path)
        assert gallery.pending_erasure == ""
        assert names(gallery) == ["Bob"]


# -- other names and other writers -------------------------------------------------------------------------------------


OPENED = """
    import sys
    from passerby.errors import PasserbyError
    from passerby.gallery.gallery import Gallery
    try:
        with Gallery.open(sys.argv[1]) as gallery:
            print(len(gallery))
    except PasserbyError as error:
        print(error)
"""


@linux
def test_who_is_closing_the_file_is_waited_for(tmp_path: Path) -> None:
    """Between the deletion of its log and its last descriptor, a process seems to have another log."""
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
    leaving = os.open(path, os.O_RDWR)
    region = (file_guard._LOG_IN_USE[0], 1)
    assert file_guard._try(leaving, file_guard._SHARED, region, lasting=True)
    waited: list[float] = []
    sleep = time.sleep

    def leave(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            file_guard._try(leaving, file_guard._FREE, region, lasting=True)
        sleep(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", leave)
        with Gallery.open(path) as gallery:
            assert names(gallery) == ["Ada"]
    assert len(waited) == 3
    os.close(leaving)


@linux
def test_another_name_of_an_open_file_is_refused(tmp_path: Path) -> None:
    """A file that is moved while it is open, or mounted in a second place, would get a second log."""
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        path.rename(tmp_path / "moved.gallery")
        assert "under another name" in run_python(OPENED, tmp_path / "moved.gallery").stdout
        (tmp_path / "moved.gallery").rename(path)
        for end in ("-wal", "-shm"):
            (tmp_path / f"moved.gallery{end}").unlink(missing_ok=True)
        assert run_python(OPENED, path).stdout == "1\n"
        gallery.enroll("Bob", vectors=PEOPLE[1])
        assert names(gallery) == ["Ada", "Bob"]


def test_a_second_name_made_while_it_is_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        os.link(path, tmp_path / "other.gallery")
        assert "2 names" in run_python(OPENED, tmp_path / "other.gallery").stdout
        (tmp_path / "other.gallery").unlink()
        gallery.enroll("Bob", vectors=PEOPLE[1])


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """One person, in a file that others may copy."""
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.backup(tmp_path / "backup.gallery")
    return tmp_path / "backup.gallery"


@pytest.mark.skipif(os.name != "posix", reason="files in use cannot be written to")
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_file_that_was_copied_over_is_noticed_and_can_be_opened(
    tmp_path: Path, backup: Path, checkpoint: bool
) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        for number in range(40):
            gallery.enroll(f"later {number}", vectors=PEOPLE[1])
        if checkpoint:
            gallery.forget("later 3")
        shutil.copyfile(backup, path)
        for call in (
            lambda: gallery.enroll("lost", vectors=PEOPLE[2]),
            lambda: gallery.identify(PEOPLE[0, 0], threshold=0.5),
            lambda: gallery.log("note"),
            gallery.check,
        ):
            with pytest.raises(StorageError, match="gallery restore"):
                call()
    with Gallery.open(path) as gallery:
        gallery.check()
        assert names(gallery) == ["Ada"]


def test_own_writing_is_not_taken_for_that_of_others(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    other = """
        import sys
        import numpy as np
        from passerby.gallery.gallery import Gallery
        for round in range(3):
            with Gallery.open(sys.argv[1]) as gallery:
                gallery.enroll_many([f"{sys.argv[2]}-{round}-{i}" for i in range(200)], np.ones((200, 64)))
                gallery.forget(f"{sys.argv[2]}-{round}-3")
                gallery.compact()
    """
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=np.ones(64))
        for number in range(3):
            assert run_python(other, path, number).stderr == ""
            gallery.enroll_many([f"own-{number}-{i}" for i in range(200)], np.ones((200, 64)))
            gallery.forget(f"own-{number}-5")
            gallery.log("note")
        gallery.check()
        assert len(gallery) == 1 + 12 * 199


# -- restore -----------------------------------------------------------------------------------------------------------


def test_restore(tmp_path: Path, backup: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Bob", vectors=PEOPLE[1])
        with pytest.raises(StorageError, match="open in this program"):
            Gallery.restore(backup, path, replace=True)
    with pytest.raises(GalleryRequestError, match="--replace"):
        Gallery.restore(backup, path)
    path.with_name(path.name + "-wal").write_bytes(b"left by somebody who was killed")
    Gallery.restore(backup, path, replace=True)
    with Gallery.open(path) as gallery:
        assert names(gallery) == ["Ada"]
        gallery.check()
    Gallery.restore(backup, tmp_path / "new.gallery")
    assert sorted(part.name for part in tmp_path.glob("*.gallery*")) == [
        "backup.gallery",
        "new.gallery",
        "people.gallery",
    ]


@linux
def test_a_gallery_that_another_program_has_open_is_not_replaced(tmp_path: Path, backup: Path) -> None:
    script = f"""
        import subprocess, sys
        from passerby.gallery.gallery import Gallery
        with Gallery.open(sys.argv[1]):
            print(subprocess.run([sys.executable, "-m", "passerby", "gallery", "restore", {str(backup)!r}, sys.argv[1],
                "--replace"], capture_output=True, text=True).stderr)
    """
    assert "open in another program" in run_python(script, tmp_path / "people.gallery").stdout


@pytest.mark.parametrize("content", [b"", b"no gallery at all" * 100])
def test_a_damaged_backup_is_not_brought_back(tmp_path: Path, backup: Path, content: bytes) -> None:
    before = (tmp_path / "people.gallery").read_bytes()
    backup.write_bytes(content)
    with pytest.raises(GalleryError):
        Gallery.restore(backup, tmp_path / "people.gallery", replace=True)
    assert (tmp_path / "people.gallery").read_bytes() == before
    assert sorted(tmp_path.iterdir()) == sorted([backup, tmp_path / "people.gallery"])

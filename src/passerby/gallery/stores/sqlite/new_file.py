"""Making a gallery's file, and bringing an old one to the newest version of the format."""

from __future__ import annotations

import os
import sqlite3
import time as clock
from collections.abc import Iterator
from pathlib import Path

from passerby.errors import GalleryError, StorageError
from passerby.gallery.stores.sqlite import schema
from passerby.gallery.stores.sqlite.checksums import keep_record_sums, sum_everything
from passerby.gallery.stores.sqlite.connection import ELSEWHERE, PRIVATE, sync_file, translated
from passerby.gallery.stores.sqlite.schema import APPLICATION_ID, PAGE_SIZE
from passerby.gallery.stores.sqlite.slots import DTYPES


def ensure_file(path: Path, real: Path, *, must_exist: bool, storage: str) -> None:
    """See that there is a file that may be a gallery; make a new one, unless it `must_exist`.

    It is not opened here: closing it again would drop the locks of all who have it open in this process.

    Args:
        path: as the user wrote it.
        real: without symbolic links.
        must_exist: a missing file is an error.
        storage: what a new file stores.

    Raises:
        GalleryError: there is none, or it cannot be one.
        StorageError: it cannot be made.
    """
    if must_exist and not real.exists():
        raise GalleryError(f"{path}: no such gallery")
    check_place(path, real)
    if real.exists():
        if not real.is_file():
            raise GalleryError(f"{path}: not a file")
        if not real.stat().st_size:
            raise GalleryError(f"{path}: is empty (0 bytes); {ELSEWHERE}")
        return
    log = real.with_name(real.name + "-wal")
    if log.exists() and not real.exists():  # SQLite would take the old changes for those of the new file
        raise GalleryError(
            f"{path}: there is no such file, but the write-ahead log of one ({log.name}), which may hold changes: put "
            f"the file back, or delete {log} (and {real.name}-shm) to start a new gallery"
        )
    _create(real, storage)


def check_place(path: Path, real: Path) -> None:
    """See that a file can be there, without making one.

    Args:
        path: as the user wrote it.
        real: without symbolic links.

    Raises:
        GalleryError: a folder is there, or there is no folder to put it into.
    """
    if real.is_dir():
        raise GalleryError(f"{path}: a folder; a gallery is one file")
    if not real.parent.is_dir():
        raise GalleryError(f"{path}: the folder {real.parent} does not exist; make it, or name another file")


def _create(path: Path, storage: str) -> None:
    """Make a complete empty gallery beside its place and link it there: there is never half a gallery."""
    if storage not in DTYPES:
        raise GalleryError(f"unknown storage {storage!r}: expected one of {', '.join(DTYPES)}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.{clock.monotonic_ns()}.partial")
    try:
        with translated(str(path)):
            db = sqlite3.connect(partial, isolation_level=None)
            try:
                db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                run_migrations(db, 0)
                keep_record_sums(db)
                db.execute("UPDATE settings SET storage = ?", (storage,))
            finally:
                db.close()
        partial.chmod(PRIVATE)
        sync_file(partial)
        os.link(partial, path)
        sync_file(path.parent)
    except FileExistsError:
        pass  # another process was quicker: its file is as good
    except OSError as error:
        raise StorageError(f"{path}: the gallery cannot be made ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def run_migrations(db: sqlite3.Connection, version: int) -> None:
    """Bring a file from `version` to the newest, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()  # another process may have been quicker
        for step in schema.MIGRATIONS[version:]:
            if callable(step):
                step(db)
                continue
            for statement in _statements(step):
                db.execute(statement)
        sum_everything(db)
        db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit behind our back."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

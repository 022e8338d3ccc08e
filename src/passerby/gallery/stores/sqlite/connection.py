"""Connections to a gallery's file, and SQLite's errors in the words of the gallery."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from passerby.errors import DamagedGalleryError, GalleryError, StorageError
from passerby.gallery.stores.sqlite.checksums import SALVAGE
from passerby.gallery.stores.sqlite.file_guard import FileGuard

BUSY_SECONDS = 30.0
PRIVATE = 0o600
"""Biometric data: for the owner alone; SQLite gives the files beside it the same mode."""
ELSEWHERE = "go back to a backup, or name another file to start a new gallery"


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection whose every commit is on the disk; a folder that cannot be written to is read as it is."""
    name = f"file:{quote(str(path.absolute()))}"
    mode = "ro" if read_only else "rw"

    def open_as(options: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{name}?{options}", uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS
        )
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("PRAGMA wal_autocheckpoint = 0")  # pages are copied back after a look at the file
            db.execute(f"PRAGMA mmap_size = {2**40}")
            db.execute("PRAGMA schema_version").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    try:
        return open_as(f"mode={mode}")
    except sqlite3.OperationalError:
        # a read-only folder: SQLite cannot make its shared-memory file; without a log the file alone is the truth
        log = path.with_name(path.name + "-wal")
        if not read_only or (log.exists() and log.stat().st_size):
            raise
        return open_as("mode=ro&immutable=1")


def has_log(db: sqlite3.Connection) -> bool:
    """Whether the connection uses a write-ahead log; one to an `immutable` file does not."""
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    return bool(mode == "wal")


def close_files(connections: list[sqlite3.Connection], guard: FileGuard) -> None:
    """Close everything, the guard last."""
    try:
        guard.release()
        for connection in reversed(connections):
            connection.close()
    finally:
        guard.close()


def sync_file(path: Path) -> None:
    """Flush a folder, or a file that is not open yet: closing it drops the locks of this process on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(location: str) -> Iterator[None]:
    """SQLite's errors in our words.

    Raises:
        DamagedGalleryError: the file is damaged or of another kind.
        StorageError: it cannot be written.
        GalleryError: everything else.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's own message quotes what is damaged
        raise DamagedGalleryError(f"{location}: damaged ({error}); {SALVAGE}") from error
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            raise GalleryError(f"{location}: the gallery is closed") from error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            raise DamagedGalleryError(
                f"{location}: is not a gallery, or damaged (not an SQLite file); {ELSEWHERE}"
            ) from error
        unreadable = ("Could not decode", "no such table", "no such column", "malformed", "unsupported file format")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT) or any(part in str(error) for part in unreadable):
            raise DamagedGalleryError(f"{location}: damaged ({error}); {SALVAGE}") from error
        hints = {
            sqlite3.SQLITE_FULL: "the disk is full",
            sqlite3.SQLITE_READONLY: "the file is read-only",
            sqlite3.SQLITE_BUSY: "another process has been writing for a long time",
            sqlite3.SQLITE_CANTOPEN: "the file or a file beside it cannot be opened",
            sqlite3.SQLITE_IOERR: "the disk failed or is full",
        }
        if code in hints:
            raise StorageError(f"{location}: {hints[code]} ({error}); nothing was changed") from error
        raise GalleryError(f"{location}: cannot be used as a gallery ({error})") from error

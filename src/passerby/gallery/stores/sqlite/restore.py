"""Bringing a backup back in the place of a gallery's file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from passerby.errors import GalleryError, GalleryRequestError, StorageError
from passerby.gallery.stores.sqlite.connection import PRIVATE, sync_file, translated
from passerby.gallery.stores.sqlite.file_guard import FileGuard
from passerby.gallery.stores.sqlite.partial_files import partial_file, remove_partials_of_the_dead
from passerby.gallery.stores.sqlite.shared_stores import is_open_here
from passerby.gallery.stores.sqlite.store import SqliteStore


def restore(backup: Path, target: Path, *, replace: bool) -> None:
    """Put a verified copy of a backup in the place of a gallery's file, and delete the log of what was there.

    Args:
        backup: a gallery's file; it stays as it is.
        target: the file to make.
        replace: also where there is one, whose content is lost then.

    Raises:
        GalleryError: the backup is missing, damaged or no gallery, or the target exists and is not to be replaced.
        StorageError: the target is open somewhere, or cannot be written.
    """
    backup, target = Path(os.path.realpath(backup)), Path(os.path.realpath(target))
    if not backup.is_file():
        raise GalleryError(f"{backup}: no such backup")
    if target.exists() and not replace:
        raise GalleryRequestError(f"{target}: exists; what is in it would be lost (`--replace` says that it may be)")
    if target.exists() and os.path.samefile(backup, target):
        raise GalleryRequestError(f"{target}: is the backup itself")
    _check_unused(target)
    remove_partials_of_the_dead(target)
    partial = partial_file(target)
    try:
        _copy(backup, partial)
        with closing(SqliteStore(partial, location=str(backup))) as store:
            store.check()
        sync_file(partial)
        _check_unused(target)
        for end in ("-wal", "-shm"):  # first: SQLite would take them for those of the file that comes
            target.with_name(target.name + end).unlink(missing_ok=True)
        partial.replace(target)
        sync_file(target.parent)
    except OSError as error:
        raise StorageError(f"{target}: the backup cannot be brought back ({error.strerror})") from error
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    log = source.with_name(source.name + "-wal")
    is_used = log.exists() and log.stat().st_size
    options = "mode=ro" if is_used else "mode=ro&immutable=1"  # which leaves no files beside it
    with (
        translated(str(source)),
        closing(sqlite3.connect(f"{source.as_uri()}?{options}", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        target.chmod(PRIVATE)
        old.backup(new)


def _check_unused(target: Path) -> None:
    """Nobody may go on writing to a file that is no longer there."""
    if not target.exists():
        return
    if is_open_here(target):
        raise StorageError(f"{target}: is open in this program; close it first; nothing was changed")
    guard = FileGuard(target)
    try:
        if not guard.is_last():
            raise StorageError(f"{target}: is open in another program; end that first; nothing was changed")
    finally:
        guard.close_descriptors()

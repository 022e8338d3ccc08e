"""Taking away the file of a gallery in which nothing was ever stored."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from passerby.gallery.stores.sqlite.file_guard import FileGuard
from passerby.gallery.stores.sqlite.shared_stores import not_open_here

_WHERE_USE_SHOWS = ("events", "identities", "observations", "sightings")


def remove_if_unused(path: Path) -> bool:
    """Remove a closed gallery's file if nothing was ever stored in it and nobody has it open.

    Args:
        path: the file.

    Returns:
        Whether it was removed.

    Raises:
        StorageError: the file cannot be locked.
    """
    real = Path(os.path.realpath(path))
    with not_open_here(real) as free:
        if not free or not real.is_file() or real.with_name(real.name + "-wal").exists():
            return False
        guard = FileGuard(real)
        try:  # while the guard holds the file for itself nobody can write to it
            if not guard.is_last() or not _is_unused(real) or guard.file_fault():
                return False
            real.unlink()
            return True
        finally:
            guard.close_descriptors()


def _is_unused(path: Path) -> bool:
    # immutable: SQLite takes no locks, which the guard has, and makes no files beside it
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as db:
        return not any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in _WHERE_USE_SHOWS)

"""The versions of camera statistics in a gallery's file.

Each mean is of many people. The difference of two versions is not: if one person was forgotten in between, it shows
that person. So earlier versions are erased when somebody is forgotten, and the one in force as soon as it is replaced.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from passerby.errors import DamagedGalleryError, EmbeddingError
from passerby.gallery.stores.sqlite.checksums import SALVAGE

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics


def statistics_of(db: sqlite3.Connection, version: int, location: str) -> CameraStatistics | None:
    """Camera statistics of a version; None: there are none (any more).

    Raises:
        DamagedGalleryError: they cannot be read.
    """
    from passerby.embedding.camera_statistics import CameraStatistics  # brings pyarrow, which few galleries need

    row = db.execute("SELECT data FROM camera_means WHERE version = ?", (version,)).fetchone()
    if row is None or not row[0]:
        return None
    try:
        return CameraStatistics.from_bytes(row[0])
    except EmbeddingError as error:
        raise DamagedGalleryError(f"{location}: damaged: camera means {version}: {error}; {SALVAGE}") from error


def put_statistics(db: sqlite3.Connection, statistics: CameraStatistics) -> int:
    """Store camera statistics under the next version; that version."""
    db.execute("UPDATE camera_means SET data = x'' WHERE has_forgotten")
    (version,) = db.execute("SELECT coalesce(max(version), 0) + 1 FROM camera_means").fetchone()
    data = replace(statistics, version=version).to_bytes()
    db.execute("INSERT INTO camera_means VALUES (?, ?, 0)", (version, data))
    return int(version)


def note_forgotten(db: sqlite3.Connection) -> None:
    """Somebody was forgotten: only the version in force stays, until it is replaced."""
    db.execute("UPDATE camera_means SET data = x'' WHERE version <> (SELECT camera_means FROM settings)")
    db.execute("UPDATE camera_means SET has_forgotten = 1")

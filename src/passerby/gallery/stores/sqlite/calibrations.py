"""What calibration has computed, kept in a gallery's file so that the next process need not compute it again."""

from __future__ import annotations

import sqlite3
import zlib

_MOST = 8
"""Kinds of search and of probes, and the same once more while the gallery changes."""


def read_calibration(db: sqlite3.Connection, key: str) -> bytes | None:
    """What was kept under a key; None where there is nothing, or it does not match its checksum."""
    row = db.execute("SELECT CAST(data AS BLOB), sum FROM calibrations WHERE key = ?", (key,)).fetchone()
    return bytes(row[0]) if row is not None and zlib.crc32(row[0]) == row[1] else None


def write_calibration(db: sqlite3.Connection, key: str, data: bytes) -> None:
    """Keep it; the oldest ones go."""
    db.execute("INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?)", (key, data, zlib.crc32(data)))
    db.execute(
        "DELETE FROM calibrations WHERE rowid NOT IN (SELECT rowid FROM calibrations ORDER BY rowid DESC LIMIT ?)",
        (_MOST,),
    )


def erase_calibrations(db: sqlite3.Connection) -> None:
    """They hold distances between people; called whenever somebody's vectors are erased."""
    db.execute("DELETE FROM calibrations")

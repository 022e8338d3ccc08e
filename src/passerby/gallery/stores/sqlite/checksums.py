"""Checksums of a gallery's file: of each block of vectors, and of each record.

Blocks of vectors have theirs in `vector_sums`; they are compared whenever a block is read. Records have theirs in
`record_sums`, kept by triggers of our own connections (temporary, so that the file stays readable to any SQLite), and
are compared by `check`. Texts carry theirs within themselves (see text_slots.py): beside them, it would tell who
guesses a name that was erased that the guess is right.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from passerby.errors import DamagedGalleryError

_RECORDS = (  # the position of a table is its number in the file: append only
    ("settings", "one"),
    ("cameras", "id"),
    ("identities", "id"),
    ("observations", "slot"),
    ("events", "id"),
    ("sightings", "slot"),
    ("thumbnails", "slot"),
    ("sighting_vectors", "slot"),
    ("observation_ids", "one"),
    ("sighting_ids", "one"),
    ("camera_means", "version"),
)
TABLES = (
    "CREATE TABLE vector_sums (block INTEGER PRIMARY KEY, sum INTEGER NOT NULL)",
    "CREATE TABLE record_sums (kind INTEGER NOT NULL, id INTEGER NOT NULL, sum INTEGER NOT NULL, "
    "PRIMARY KEY (kind, id)) WITHOUT ROWID",
)
SALVAGE = "go back to a backup, or save the rest with `passerby gallery salvage`"


def block_sum(data: bytes | bytearray | memoryview) -> int:
    """Sum of a block's 64-bit words, modulo 2^64: any one changed word changes it, at the speed of memory."""
    return int(np.add.reduce(np.frombuffer(data, "<i8"), dtype=np.int64))


def record_sum(*values: Any) -> int:
    """CRC-32 of a record's columns."""
    total = 0
    for value in values:
        total = zlib.crc32(value if isinstance(value, bytes) else repr(value).encode(), total)
    return total


def keep_record_sums(db: sqlite3.Connection) -> None:
    """Have every change that this connection makes to a record change its checksum."""
    db.create_function("record_sum", -1, record_sum, deterministic=True)
    for kind, table, key, columns in _tables(db):
        row = ", ".join(f"NEW.{column}" for column in columns)
        put = f"INSERT OR REPLACE INTO record_sums VALUES ({kind}, NEW.{key}, record_sum({row}))"
        drop = f"DELETE FROM record_sums WHERE kind = {kind} AND id = OLD.{key}"
        db.execute(f"CREATE TEMP TRIGGER sum_of_new_{table} AFTER INSERT ON main.{table} BEGIN {put}; END")
        db.execute(f"CREATE TEMP TRIGGER sum_of_changed_{table} AFTER UPDATE ON main.{table} BEGIN {drop}; {put}; END")
        db.execute(f"CREATE TEMP TRIGGER sum_of_deleted_{table} AFTER DELETE ON main.{table} BEGIN {drop}; END")


def sum_everything(db: sqlite3.Connection) -> None:
    """Checksums of what is there, as it is: for a file whose tables have just been changed by a migration."""
    db.create_function("record_sum", -1, record_sum, deterministic=True)
    tables = list(_tables(db))
    if not tables:
        return
    db.execute("DELETE FROM record_sums")
    for kind, table, key, columns in tables:
        db.execute(f"INSERT INTO record_sums SELECT {kind}, {key}, record_sum({', '.join(columns)}) FROM {table}")
    db.execute("DELETE FROM vector_sums")
    blocks = [block for (block,) in db.execute("SELECT block FROM vectors")]
    for block in blocks:
        (data,) = db.execute("SELECT data FROM vectors WHERE block = ?", (block,)).fetchone()
        db.execute("INSERT INTO vector_sums VALUES (?, ?)", (block, block_sum(data)))


def check_records(db: sqlite3.Connection, location: str) -> None:
    """Compare all records with their checksums.

    Raises:
        DamagedGalleryError: one does not have its own, or is missing.
    """
    db.create_function("record_sum", -1, record_sum, deterministic=True)
    for kind, table, key, columns in _tables(db):
        row = ", ".join(f"r.{column}" for column in columns)
        wrong = db.execute(
            f"SELECT r.{key} FROM {table} r LEFT JOIN record_sums s ON s.kind = {kind} AND s.id = r.{key} "
            f"WHERE s.sum IS NOT record_sum({row}) LIMIT 5"
        ).fetchall()
        if wrong:
            numbers = ", ".join(str(number) for (number,) in wrong)
            raise DamagedGalleryError(
                f"{location}: damaged: {table}: record {numbers} does not match its checksum; {SALVAGE}"
            )
        (sums,) = db.execute("SELECT count(*) FROM record_sums WHERE kind = ?", (kind,)).fetchone()
        (records,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
        if sums != records:
            raise DamagedGalleryError(
                f"{location}: damaged: {table}: {sums - records:,} records are missing; {SALVAGE}"
            )


def _tables(db: sqlite3.Connection) -> Iterator[tuple[int, str, str, list[str]]]:
    """Number, name, key and columns of each table whose records have checksums; of an older format none have."""
    if not db.execute("SELECT 1 FROM main.sqlite_schema WHERE name = 'record_sums'").fetchone():
        return
    for kind, (table, key) in enumerate(_RECORDS):
        columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()]
        yield kind, table, key, columns

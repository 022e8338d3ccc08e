"""Reading the columns of all observations of a gallery's file, as lists that SQLite writes.

A row of Python objects for each observation would take longer than their vectors do. SQLite joins the whole numbers of
a column to one text instead, which numpy parses; times, which such a text would round, are read by themselves.
"""

from __future__ import annotations

import sqlite3
from itertools import chain

import numpy as np

from passerby.array_types import Int64
from passerby.errors import DamagedGalleryError
from passerby.gallery.stores.sqlite.checksums import SALVAGE
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK
from passerby.search.index import NOBODY, ExactIndex

_ROWS = 65_536  # observations whose columns are read at a time


def read_columns(db: sqlite3.Connection, index: ExactIndex, location: str) -> None:
    """Fill an empty index with the columns of all observations of the open transaction's view of the file.

    Args:
        db: in a transaction that has changed none of them.
        index: of the file's dimension; its vectors stay empty.
        location: what the gallery is called in messages.

    Raises:
        DamagedGalleryError: something cannot be read.
    """
    end = end_of_slots(db, location)
    index.reserve(end)
    slots, timed = _read_whole_numbers(db, index, end)
    if timed:
        _read_times(db, index, slots, timed)


def end_of_slots(db: sqlite3.Connection, location: str) -> int:
    """The end of the slots that observations use.

    Raises:
        DamagedGalleryError: there are no blocks of vectors for some of them.
    """
    # one at a time: each is then read from an end of the table, and not from all rows
    (least,) = db.execute("SELECT coalesce(min(slot), 0) FROM observations").fetchone()
    (end,) = db.execute("SELECT coalesce(max(slot) + 1, 0) FROM observations").fetchone()
    (blocks,) = db.execute("SELECT coalesce(max(block) + 1, 0) FROM vectors").fetchone()
    limit = blocks * VECTORS_PER_BLOCK
    if least < 0 or end > limit:
        lost = "SELECT count(*) FROM observations WHERE (slot < 0 OR slot >= ?) AND identity IS NOT NULL"
        (missing,) = db.execute(lost, (limit,)).fetchone()
        raise DamagedGalleryError(f"{location}: damaged: {missing:,} vectors are missing; {SALVAGE}")
    return int(end)


def _read_whole_numbers(db: sqlite3.Connection, index: ExactIndex, end: int) -> tuple[Int64, int]:
    """All but the times; the slots of the rows that were read, and how many of them have a time."""
    slots = [np.zeros(0, np.int64)]
    timed = 0
    for first in range(0, end, _ROWS):
        rows, times, *lists = db.execute(
            "SELECT count(*), count(time), group_concat(slot), group_concat(id), "
            f"group_concat(ifnull(identity, {NOBODY})), "
            "group_concat(ifnull(camera, -1)) FROM observations NOT INDEXED WHERE slot >= ? AND slot < ?",
            (first, first + _ROWS),
        ).fetchone()
        if rows:
            own, ids, identities, cameras = (np.fromstring(text or "", np.int64, sep=",") for text in lists)
            if any(len(column) != rows for column in (own, ids, identities, cameras)):
                raise TypeError("something else where whole numbers belong")
            index.put(own, ids, identities, cameras, np.full(rows, np.nan))
            slots.append(own)
            timed += times
    return np.concatenate(slots), timed


def _read_times(db: sqlite3.Connection, index: ExactIndex, slots: Int64, timed: int) -> None:
    """Those of the observations in `slots`; row by row, so not while threads wait for the interpreter."""
    found = chain.from_iterable(db.execute("SELECT time FROM observations ORDER BY slot"))
    index.times[np.sort(slots)] = (
        np.fromiter(found, np.float64, len(slots)) if timed == len(slots) else np.array(list(found), np.float64)
    )

"""Reading all observations of a gallery's file: columns as lists that SQLite writes, vectors by several threads.

A row of Python objects for each observation would take longer than the vectors do. SQLite joins the whole numbers of a
column to one text instead, which numpy parses; times, which such a text would round, are read by themselves. Meanwhile
threads with connections of their own read the blocks of vectors, compare each with its checksum, and copy it to its
place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from passerby.array_types import Bool, Float32, Int64
from passerby.errors import DamagedGalleryError
from passerby.gallery.stores.sqlite.checksums import SALVAGE, block_sum
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK
from passerby.gallery.stores.sqlite.slots import DTYPES
from passerby.search.index import NOBODY, ExactIndex

Connect: TypeAlias = Callable[[], sqlite3.Connection | None]
"""Makes a further connection for reading; None where there can be none."""

_THREADS = 4
_BLOCKS_OF_A_THREAD = 64  # fewer are not worth one
_ROWS = 65_536  # observations whose columns are read at a time
_STATE = "SELECT revision, slot_generation FROM settings"


@dataclass(frozen=True)
class _Vectors:
    """Where vectors go.

    Attributes:
        index: they are copied into it; its slots are reserved.
        dtype: of the stored vectors.
        location: what the gallery is called in messages.
        squares: squared lengths by slot.
        found: which blocks were read.
        sound: which of them match their checksums.
    """

    index: ExactIndex
    dtype: np.dtype[Any]
    location: str
    squares: Float32
    found: Bool
    sound: Bool

    def read(self, db: sqlite3.Connection, first: int, end: int) -> None:
        """Copy blocks `first` to `end` - 1 into the index.

        Raises:
            DamagedGalleryError: one is not of the right size.
        """
        rows = db.execute(
            "SELECT v.block, v.data, s.sum FROM vectors v LEFT JOIN vector_sums s ON s.block = v.block "
            "WHERE v.block >= ? AND v.block < ? ORDER BY v.block",
            (first, end),
        )
        for block, data, total in rows:
            self._put(block, data, total)

    def _put(self, block: int, data: bytes, total: int | None) -> None:
        if len(data) != VECTORS_PER_BLOCK * self.index.dim * self.dtype.itemsize:
            raise DamagedGalleryError(
                f"{self.location}: damaged: a block of vectors does not have {self.index.dim} numbers a vector"
            )
        self.found[block] = True
        self.sound[block] = block_sum(data) == total
        first = block * VECTORS_PER_BLOCK
        end = min(first + VECTORS_PER_BLOCK, self.index.size)
        place = self.index.rows(first, end)
        place[...] = np.frombuffer(data, self.dtype).reshape(VECTORS_PER_BLOCK, -1)[: end - first]
        np.einsum("ij,ij->i", place, place, out=self.squares[first:end])

    def check(self) -> None:
        """Every observation has a sound vector of unit length, and every free slot zeros.

        Raises:
            DamagedGalleryError: this is not so.
        """
        used = self.index.alive()
        block_of = np.arange(self.index.size) // VECTORS_PER_BLOCK
        missing = np.count_nonzero(used & ~self.found[block_of])
        if missing:
            raise DamagedGalleryError(f"{self.location}: damaged: {missing:,} vectors are missing; {SALVAGE}")
        for block in np.flatnonzero(self.found & ~self.sound)[:1]:
            raise DamagedGalleryError(
                f"{self.location}: damaged: the vectors of block {block} "
                f"({np.count_nonzero(used[block_of == block])} observations) do not match their checksum; {SALVAGE}"
            )
        for slot in np.flatnonzero(self.found[block_of] & ~(np.abs(self.squares - used) < 0.01))[:1]:
            raise DamagedGalleryError(
                f"{self.location}: damaged: the vector in slot {slot} is not of unit length; {SALVAGE}"
            )


def read_all(db: sqlite3.Connection, connect: Connect, index: ExactIndex, storage: str, location: str) -> None:
    """Fill an empty index with all observations of the open transaction's view of the file.

    Args:
        db: in a transaction that has changed nothing.
        connect: for threads of their own.
        index: of the file's dimension.
        storage: of the vectors.
        location: what the gallery is called in messages.

    Raises:
        DamagedGalleryError: something cannot be read, or is missing.
    """
    blocks, end = _size(db, location)
    index.reserve(end)
    used = -(-end // VECTORS_PER_BLOCK)
    squares = np.zeros(end, np.float32)
    vectors = _Vectors(index, DTYPES[storage], location, squares, np.zeros(used, np.bool_), np.zeros(used, np.bool_))
    with _further(db, connect, min(_THREADS, blocks // _BLOCKS_OF_A_THREAD)) as readers:
        if readers:
            bounds = [used * part // len(readers) for part in range(len(readers) + 1)]
            with ThreadPoolExecutor(len(readers), thread_name_prefix="vectors") as pool:
                parts = [pool.submit(vectors.read, *part) for part in zip(readers, bounds, bounds[1:], strict=False)]
                slots, timed = _read_columns(db, index, end)
            for part in parts:
                part.result()
        else:
            slots, timed = _read_columns(db, index, end)
            vectors.read(db, 0, used)
    if timed:
        _read_times(db, index, slots, timed)
    vectors.check()


def _size(db: sqlite3.Connection, location: str) -> tuple[int, int]:
    """How many blocks of vectors there are, and the end of the slots that observations use."""
    # one at a time: each is then read from an end of the table, and not from all rows
    (least,) = db.execute("SELECT coalesce(min(slot), 0) FROM observations").fetchone()
    (end,) = db.execute("SELECT coalesce(max(slot) + 1, 0) FROM observations").fetchone()
    (blocks,) = db.execute("SELECT coalesce(max(block) + 1, 0) FROM vectors").fetchone()
    limit = blocks * VECTORS_PER_BLOCK
    if least < 0 or end > limit:
        lost = "SELECT count(*) FROM observations WHERE (slot < 0 OR slot >= ?) AND identity IS NOT NULL"
        (missing,) = db.execute(lost, (limit,)).fetchone()
        raise DamagedGalleryError(f"{location}: damaged: {missing:,} vectors are missing; {SALVAGE}")
    return blocks, end


@contextmanager
def _further(db: sqlite3.Connection, connect: Connect, count: int) -> Iterator[list[sqlite3.Connection]]:
    """So many connections that see the same state of the file, or none."""
    state = db.execute(_STATE).fetchone()
    opened: list[sqlite3.Connection] = []
    try:
        for _ in range(count if count > 1 else 0):
            another = connect()
            if another is None:
                break
            opened.append(another)
            another.execute("BEGIN")
        agree = len(opened) == count and all(one.execute(_STATE).fetchone() == state for one in opened)
        yield opened if agree else []
    finally:
        for one in opened:
            one.close()


def _read_columns(db: sqlite3.Connection, index: ExactIndex, end: int) -> tuple[Int64, int]:
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

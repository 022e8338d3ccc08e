"""The vectors of a gallery's file that are in memory, block by block: each is read when it is first needed.

Each block is compared with its checksum when it is read. Where many are missing, threads with connections of their own
read them, if those connections see the state of the file that memory has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from passerby.array_types import Bool, Int64
from passerby.errors import DamagedGalleryError
from passerby.gallery.stores.sqlite.checksums import SALVAGE, block_sum
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK
from passerby.gallery.stores.sqlite.slots import DTYPES
from passerby.search.index import ExactIndex

Connect: TypeAlias = Callable[[], sqlite3.Connection | None]
"""Makes a further connection for reading; None where there can be none."""

State: TypeAlias = tuple[int, int]
"""Revision and slot generation of a file."""

_THREADS = 4
_BLOCKS_OF_A_THREAD = 64  # fewer are not worth one


class VectorBlocks:
    """The vectors of an index, which a file holds in blocks.

    Args:
        index: whose columns are those of the file; only its vectors are written here.
        storage: of the vectors.
        location: what the gallery is called in messages.
        connect: for threads of their own.
    """

    def __init__(self, index: ExactIndex, storage: str, location: str, connect: Connect) -> None:
        self._index = index
        self._dtype = DTYPES[storage]
        self._location = location
        self._connect = connect
        self._held: Bool = np.zeros(0, np.bool_)
        self._was_read: Bool = np.zeros(0, np.bool_)

    def missing(self, slots: Int64 | None) -> Int64:
        """Blocks of these slots, or of all that are in use, that are not in memory; ascending."""
        used = -(-self._index.size // VECTORS_PER_BLOCK)
        if len(self._held) < used:
            more = np.zeros(used - len(self._held), np.bool_)
            self._held, self._was_read = np.r_[self._held, more], np.r_[self._was_read, more]
        if slots is None:
            return np.flatnonzero(~self._held[:used])
        blocks = np.unique(slots // VECTORS_PER_BLOCK)
        blocks = blocks[blocks < used]
        return blocks[~self._held[blocks]]

    def changed(self, slots: Int64) -> None:
        """These slots (ascending) have changed in the file: nothing of them is kept, and they are read when needed."""
        slots = slots[slots // VECTORS_PER_BLOCK < len(self._held)]
        slots = slots[self._was_read[slots // VECTORS_PER_BLOCK]]
        if len(slots):
            self._held[slots // VECTORS_PER_BLOCK] = False
            self._index.put_vectors(slots, np.zeros((len(slots), self._index.dim), np.float32))

    def read(self, db: sqlite3.Connection, state: State, slots: Int64 | None) -> None:
        """Have the vectors of these slots, or all, in memory.

        Args:
            db: in a transaction that sees the file as it is in memory, or has changed only blocks that are.
            state: of memory.
            slots: any that are in use.

        Raises:
            DamagedGalleryError: one of their blocks is damaged or missing; those that are sound are in memory then.
        """
        blocks = self.missing(slots)
        if not len(blocks):
            return
        self._was_read[blocks] = True
        reading = _Reading(self._index, self._dtype, self._location, blocks)
        with self._further(state, min(_THREADS, len(blocks) // _BLOCKS_OF_A_THREAD)) as readers:
            if readers:
                with ThreadPoolExecutor(len(readers), thread_name_prefix="vectors") as pool:
                    parts = [
                        pool.submit(reading.read, *part)
                        for part in zip(readers, np.array_split(blocks, len(readers)), strict=True)
                    ]
                for part in parts:
                    part.result()
            else:
                reading.read(db, blocks)
        sound = reading.sound()
        self._held[blocks[sound]] = True
        if not sound.all():
            reading.complain()

    @contextmanager
    def _further(self, state: State, count: int) -> Iterator[list[sqlite3.Connection]]:
        """So many connections that see this state of the file, or none."""
        opened: list[sqlite3.Connection] = []
        try:
            for _ in range(count if count > 1 else 0):
                another = self._connect()
                if another is None:
                    break
                opened.append(another)
                another.execute("BEGIN")
            query = "SELECT revision, slot_generation FROM settings"
            agree = len(opened) == count and all(one.execute(query).fetchone() == state for one in opened)
            yield opened if agree else []
        finally:
            for one in opened:
                one.close()


class _Reading:
    """Some blocks that are read at a time.

    Args:
        index: their vectors are copied into it.
        dtype: of the stored vectors.
        location: what the gallery is called in messages.
        blocks: their numbers, ascending.
    """

    def __init__(self, index: ExactIndex, dtype: np.dtype[Any], location: str, blocks: Int64) -> None:
        self._index = index
        self._dtype = dtype
        self._location = location
        self._blocks = blocks
        self._found = np.zeros(len(blocks), np.bool_)
        self._matching = np.zeros(len(blocks), np.bool_)
        self._squares = np.zeros((len(blocks), VECTORS_PER_BLOCK), np.float32)

    def read(self, db: sqlite3.Connection, blocks: Int64) -> None:
        """Copy some of the blocks into the index.

        Raises:
            DamagedGalleryError: one is not of the right size.
        """
        for run in np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1):
            rows = db.execute(
                "SELECT v.block, v.data, s.sum FROM vectors v LEFT JOIN vector_sums s ON s.block = v.block "
                "WHERE v.block >= ? AND v.block <= ? ORDER BY v.block",
                (int(run[0]), int(run[-1])),
            )
            place = int(np.searchsorted(self._blocks, run[0]))
            for block, data, total in rows:
                self._put(place + block - int(run[0]), block, data, total)

    def _put(self, place: int, block: int, data: bytes, total: int | None) -> None:
        dim = self._index.dim
        if len(data) != VECTORS_PER_BLOCK * dim * self._dtype.itemsize:
            raise DamagedGalleryError(
                f"{self._location}: damaged: a block of vectors does not have {dim} numbers a vector; {SALVAGE}"
            )
        self._found[place] = True
        self._matching[place] = block_sum(data) == total
        first = block * VECTORS_PER_BLOCK
        end = min(first + VECTORS_PER_BLOCK, self._index.size)
        rows = self._index.rows(first, end)
        rows[...] = np.frombuffer(data, self._dtype).reshape(VECTORS_PER_BLOCK, -1)[: end - first]
        np.einsum("ij,ij->i", rows, rows, out=self._squares[place, : end - first])

    def sound(self) -> Bool:
        """Which of the blocks have sound vectors of unit length for every observation, and zeros in free slots."""
        used = self._used()
        unit: Bool = np.all(np.abs(self._squares - used) < 0.01, axis=1)
        sound: Bool = (self._matching & unit) | (~self._found & ~np.any(used, axis=1))
        return sound

    def complain(self) -> None:
        """Say what is not sound.

        Raises:
            DamagedGalleryError: in any case.
        """
        used = self._used()
        if missing := int(np.count_nonzero(used[~self._found])):
            raise DamagedGalleryError(f"{self._location}: damaged: {missing:,} vectors are missing; {SALVAGE}")
        for place in np.flatnonzero(self._found & ~self._matching)[:1]:
            raise DamagedGalleryError(
                f"{self._location}: damaged: the vectors of block {self._blocks[place]} "
                f"({np.count_nonzero(used[place])} observations) do not match their checksum; {SALVAGE}"
            )
        place, slot = np.argwhere(self._found[:, None] & ~(np.abs(self._squares - used) < 0.01))[0]
        raise DamagedGalleryError(
            f"{self._location}: damaged: the vector in slot {self._blocks[place] * VECTORS_PER_BLOCK + slot} is not of "
            f"unit length; {SALVAGE}"
        )

    def _used(self) -> Bool:
        """Which slots of the blocks hold an observation, [blocks, slots]."""
        slots = self._blocks[:, None] * VECTORS_PER_BLOCK + np.arange(VECTORS_PER_BLOCK)
        used = np.zeros(slots.shape, np.bool_)
        inside = slots < self._index.size
        used[inside] = self._index.alive()[slots[inside]]
        return used

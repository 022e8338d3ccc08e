"""Slots of a gallery's file: vectors in blocks, thumbnails of one size, written in place so that they can be erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.images_or_vectors import THUMBNAIL_BYTES
from passerby.gallery.stores.sqlite.checksums import block_sum
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK

DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


def take_slots(db: sqlite3.Connection, kind: str, table: str, count: int) -> list[int]:
    """Free slots, then those behind the last one, ascending."""
    free = db.execute("SELECT slot FROM free_slots WHERE kind = ? ORDER BY slot LIMIT ?", (kind, count)).fetchall()
    db.executemany("DELETE FROM free_slots WHERE kind = ? AND slot = ?", ((kind, slot) for (slot,) in free))
    (start,) = db.execute(f"SELECT coalesce(max(slot) + 1, 0) FROM {table}").fetchone()
    return [slot for (slot,) in free] + list(range(start, start + count - len(free)))


def write_vectors(db: sqlite3.Connection, slots: Int64, vectors: Float32, storage: str) -> None:
    """Write vectors into their slots (ascending): in place, or into new blocks behind the last one."""
    stored = np.ascontiguousarray(vectors, dtype=DTYPES[storage])
    (blocks,) = db.execute("SELECT coalesce(max(block) + 1, 0) FROM vectors").fetchone()
    size = stored.shape[1] * stored.itemsize
    for block, part in by_block(slots):
        places = slots[part] % VECTORS_PER_BLOCK
        if block >= blocks:
            data = np.zeros((VECTORS_PER_BLOCK, stored.shape[1]), stored.dtype)
            data[places] = stored[part]
            content = data.data.cast("B")
            db.execute("INSERT INTO vectors VALUES (?, ?)", (block, content))
            db.execute("INSERT OR REPLACE INTO vector_sums VALUES (?, ?)", (block, block_sum(content)))
            continue
        with db.blobopen("vectors", "data", block) as blob:
            before = block_sum(blob.read())
            for place, row in zip(places.tolist(), stored[part], strict=True):
                blob.seek(place * size)
                blob.write(row.data.cast("B"))
            blob.seek(0)
            after = block_sum(blob.read())
        # a block that was damaged already keeps its sum, and so stays damaged
        db.execute("UPDATE vector_sums SET sum = ? WHERE block = ? AND sum = ?", (after, block, before))


def write_thumbnails(db: sqlite3.Connection, pictures: Sequence[bytes]) -> list[int]:
    """Write into free slots, then behind the last one; the slots used."""
    slots = take_slots(db, "thumbnails", "thumbnails", len(pictures))
    db.executemany(
        "INSERT INTO thumbnails VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET data = excluded.data",
        ((slot, padded(picture)) for slot, picture in zip(slots, pictures, strict=True)),
    )
    return slots


def erase_thumbnail(db: sqlite3.Connection, slot: int) -> None:
    """Overwrite a thumbnail with zeros; its slot is free again."""
    db.execute("UPDATE thumbnails SET data = zeroblob(length(data)) WHERE slot = ?", (slot,))
    db.execute("INSERT INTO free_slots VALUES ('thumbnails', ?)", (slot,))


def by_block(slots: Int64) -> Iterator[tuple[int, slice]]:
    """Blocks of ascending slots, each with the part of `slots` that is in it."""
    blocks, starts = np.unique(slots // VECTORS_PER_BLOCK, return_index=True)
    ends = np.r_[starts, len(slots)][1:]
    for block, start, end in zip(blocks.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield block, slice(start, end)


def padded(picture: bytes) -> bytes:
    """A thumbnail filled up to the size of its slot.

    Raises:
        GalleryRequestError: it is larger than a slot.
    """
    if len(picture) > THUMBNAIL_BYTES:
        raise GalleryRequestError(f"thumbnail: {len(picture):,} bytes are more than {THUMBNAIL_BYTES:,}")
    return picture + b"\0" * (THUMBNAIL_BYTES - len(picture))

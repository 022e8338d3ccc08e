"""The rows of enrolled identities, from what is held in memory of a gallery's file."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Int64
from passerby.gallery.stores.enrolled_rows import NO_ROWS, EnrolledRows, consolidated
from passerby.gallery.stores.sqlite.cameras import Cameras
from passerby.gallery.stores.sqlite.memory_mirror import Memory


def enrolled_rows(memory: Memory) -> EnrolledRows:
    """Whose the observations of all enrolled identities are, and which camera took them; by slot."""
    index = memory.index
    if index is None:
        return NO_ROWS
    chosen = index.alive()
    if memory.unknown:
        unknown = np.fromiter(memory.unknown, np.int64, len(memory.unknown))
        chosen = chosen & ~np.isin(index.identities[: index.size], unknown)
    slots = np.flatnonzero(chosen)
    return EnrolledRows(
        index.ids[slots],
        index.identities[slots],
        _one_number(index.cameras[slots], memory.cameras),
        consolidated(memory.unknown, memory.merged),
        memory.offsets,
        memory.cameras.names,
    )


def _one_number(numbers: Int64, cameras: Cameras) -> Int64:
    for number, first in cameras.first.items():
        if number != first:
            numbers = np.where(numbers == number, first, numbers)
    return numbers

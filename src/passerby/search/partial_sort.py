"""The largest or smallest values without sorting all of them."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int64

SEGMENT = 64
"""Values of a segment: the width of what `Selection` looks at is a multiple of it."""


class Selection:
    """The largest values of a probe's similarities [blocks, width], found by way of the maxima of short segments.

    The m segments with the largest maxima contain the m largest values, so a full partition is not needed. A segment
    is every (width / 64)-th value of a block, so that its maxima are found by comparing long rows.
    """

    def __init__(self, values: Float32) -> None:
        self._width = values.shape[1]
        self._values = values.reshape(values.shape[0], SEGMENT, -1)
        self._maxima: Float32 = self._values.max(axis=1).ravel()

    def largest(self, count: int) -> Int64:
        """Slots of the `count` largest values and of those equal to the last of them, in no order; never -inf."""
        step = self._width // SEGMENT
        block, column = np.divmod(_at_least(self._maxima, count), step)
        values = self._values[block, :, column]
        slots = (block * self._width + column)[:, None] + np.arange(SEGMENT) * step
        return np.asarray(slots.ravel()[_at_least(values.ravel(), count)], np.int64)


def _at_least(values: Float32, count: int) -> Int64:
    """Positions of values that reach the count-th largest, and are not -inf."""
    limit = -np.inf if count >= len(values) else float(np.partition(values, len(values) - count)[len(values) - count])
    return np.flatnonzero(values >= limit) if limit > -np.inf else np.flatnonzero(values > -np.inf)


def smallest(values: Float64, count: int) -> Int64:
    """Positions of the `count` smallest values, of equal ones the first."""
    if count < len(values):
        near = np.flatnonzero(values <= np.partition(values, count - 1)[count - 1])
    else:
        near = np.arange(len(values))
    return near[np.argsort(values[near], kind="stable")[:count]]

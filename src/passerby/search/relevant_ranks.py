"""Where the right gallery vectors of each query stand in its ranked list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Bool, Int64


@dataclass(frozen=True)
class Ranks:
    """Where the true matches of each query stand.

    Attributes:
        positions: 1-based places, ascending within a query; all queries one after the other.
        offsets: query i owns positions[offsets[i] : offsets[i + 1]]; [q + 1].
        kept: gallery images that counted for each query; [q].
        tied: whether a query's first true match shares its distance with a wrong image; [q].
    """

    positions: Int64
    offsets: Int64
    kept: Int64
    tied: Bool

    @property
    def matches(self) -> Int64:
        """True matches of each query, [q]."""
        return np.diff(self.offsets)

    def first(self) -> Int64:
        """Place of each query's first true match, 0 where it has none; [q]."""
        return _at(self.positions, self.offsets[:-1], self.matches)

    def last(self) -> Int64:
        """Place of each query's last true match, 0 where it has none; [q]."""
        return _at(self.positions, self.offsets[1:] - 1, self.matches)


def _at(positions: Int64, where: Int64, matches: Int64) -> Int64:
    found = np.zeros(len(matches), dtype=np.int64)
    some = matches > 0
    found[some] = positions[where[some]]
    return found

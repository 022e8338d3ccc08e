"""What is taken off the exact keys of a few pairs before ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float64, Int32, Int64


@dataclass(frozen=True)
class Bonus:
    """For a block of queries, what is taken off the exact keys of a few pairs before ranking.

    Attributes:
        starts: query i owns columns[starts[i] : starts[i + 1]], [block + 1].
        columns: gallery images, ascending within a query.
        worth: what is taken off, 0 or more.
    """

    starts: Int64
    columns: Int32
    worth: Float64

    def of(self, queries: Int64, columns: Int64) -> Float64:
        """What is taken off some pairs."""
        if len(self.columns) == 0 or len(queries) == 0:
            return np.zeros(len(queries))
        # sorted by query and column, so that one number finds a pair
        span = max(int(self.columns.max()), int(columns.max())) + 1
        owner = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        table, wanted = owner * span + self.columns, queries * span + columns
        at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        return np.where(table[at] == wanted, self.worth[at], 0.0)

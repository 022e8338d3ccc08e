"""Slots group by group: who owns which observations, and means over each group's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float64, Int64


@dataclass(frozen=True)
class SlotGroups:
    """Slots group by group: those of `names[i]`, ascending, are `slots[starts[i]:starts[i + 1]]`."""

    names: Int64
    slots: Int64
    starts: Int64

    def spans(self, names: Int64) -> tuple[Int64, Int64]:
        """First place in `slots` of each of these groups, and the place behind its last."""
        places = np.searchsorted(self.names, names)
        return self.starts[places], np.r_[self.starts, len(self.slots)][places + 1]


def group_slots(slots: Int64, labels: Int64) -> SlotGroups:
    """Group slots that are sorted by the label that `labels` has for them."""
    names = labels[slots]
    starts = np.flatnonzero(np.r_[True, np.diff(names) > 0])[: len(names)]
    return SlotGroups(names[starts], slots, starts)


def ranges(starts: Int64, ends: Int64) -> Int64:
    """The numbers from each start up to its end, one after the other."""
    counts = ends - starts
    shifts = starts - np.r_[0, np.cumsum(counts)[:-1]] if len(counts) else starts
    ranges: Int64 = np.arange(counts.sum()) + np.repeat(shifts, counts)
    return ranges


def mean_of_nearest(owners: Int64, distances: Float64, k: int) -> Float64:
    """For each owner in ascending order, the mean of its k smallest distances (of all, where there are fewer)."""
    order = np.lexsort((distances, owners))
    owners, distances = owners[order], distances[order]
    starts = np.flatnonzero(np.r_[True, np.diff(owners) > 0])
    counts = np.diff(np.r_[starts, len(owners)])
    rank = np.arange(len(owners)) - np.repeat(starts, counts)
    return np.asarray(np.add.reduceat(np.where(rank < k, distances, 0.0), starts) / np.minimum(counts, k), np.float64)

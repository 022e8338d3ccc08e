"""Several vectors of one person become one: a query person's images, or the frames of a tracklet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.errors import EmbeddingError
from passerby.evaluation.arrays import Float32, Int64

POOLINGS = ("mean", "max", "min_distance")


@dataclass(frozen=True)
class Groups:
    """Rows that belong together.

    Attributes:
        order: rows sorted by group, in their own order within one, [n].
        starts: where each group starts in `order`, [m].
        first: each group's first row; groups are numbered in the order of these, [m].
    """

    order: Int64
    starts: Int64
    first: Int64


def group_rows(*columns: Int64) -> Groups:
    """Rows with equal values in all columns, groups in the order of their first rows."""
    _, first, group = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))  # a group's place among the first rows
    group = number[group.reshape(-1)]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(first)))
    return Groups(order, starts, np.sort(first))


def pool(vectors: Float32, groups: Groups, pooling: str) -> Float32:
    """Mean or element-wise maximum of each group's vectors, [m, dim]."""
    if pooling == "max":
        return np.asarray(np.maximum.reduceat(vectors[groups.order], groups.starts, axis=0))
    size = np.diff(np.append(groups.starts, len(groups.order)))
    pooled = np.empty((len(size), vectors.shape[1]), dtype=np.float32)
    for i, (start, n) in enumerate(zip(groups.starts, size, strict=True)):
        pooled[i] = vectors[groups.order[start : start + n]].mean(axis=0, dtype=np.float64)
    return pooled


def group_tracklets(tracklets: Int64, pids: Int64, camids: Int64, name: str) -> Groups:
    """Frames by tracklet; -1 is a tracklet of its own.

    Raises:
        EmbeddingError: a tracklet with several people or cameras.
    """
    alone = np.where(tracklets < 0, np.arange(len(tracklets)), -1)
    groups = group_rows(tracklets, alone)
    first = np.repeat(groups.order[groups.starts], np.diff(np.append(groups.starts, len(groups.order))))
    mixed = (pids[groups.order] != pids[first]) | (camids[groups.order] != camids[first])
    if mixed.any():
        row = int(groups.order[np.argmax(mixed)])
        raise EmbeddingError(
            f"{name}: tracklet {tracklets[row]} holds person {pids[row]} of camera {camids[row]} (row {row}) besides "
            "another person or camera; a tracklet is one person seen by one camera"
        )
    return groups

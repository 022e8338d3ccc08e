"""Several vectors of one person become one: a query person's images, or the frames of a tracklet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.errors import EmbeddingError

FRAME_POOLINGS = ("mean", "max", "attention")
QUALITIES = ("sharpness", "norm")
"""Means weighted by a quality of each frame (`passerby.embedding.quality`)."""
POOLINGS = (*FRAME_POOLINGS, *QUALITIES, "min_distance")
_ATTENTION_TEMPERATURE = 0.1


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


def pool(vectors: Float32, groups: Groups, pooling: str, weights: Float64 | None = None) -> Float32:
    """One vector for each group of vectors x_i, [m, dim].

    - "mean": sum_i w_i x_i / sum_i w_i, with w_i = 1 where no weights are given, or where a group's are all 0.
    - "max": the element-wise maximum.
    - "attention": the mean again, with w_i multiplied by exp(cos(x_i, x) / 0.1), x the (weighted) mean. Nothing is
      learned: frames that look unlike the rest of their tracklet (an occlusion, another person) count for less.

    Args:
        vectors: [n, dim].
        groups: of the rows.
        pooling: "mean", "max" or "attention".
        weights: [n], 0 or more: how much each row counts; "max" takes none.
    """
    if pooling == "max":
        return np.asarray(np.maximum.reduceat(vectors[groups.order], groups.starts, axis=0))
    size = np.diff(np.append(groups.starts, len(groups.order)))
    pooled = np.empty((len(size), vectors.shape[1]), dtype=np.float32)
    for i, (start, n) in enumerate(zip(groups.starts, size, strict=True)):
        rows = groups.order[start : start + n]
        members = vectors[rows].astype(np.float64)
        counts = np.ones(n) if weights is None or not weights[rows].any() else weights[rows]
        mean = _weighted_mean(members, counts)
        pooled[i] = mean if pooling == "mean" else _weighted_mean(members, counts * _attention(members, mean))
    return pooled


def _weighted_mean(members: Float64, counts: Float64) -> Float64:
    return np.asarray(counts @ members / counts.sum())


def _attention(members: Float64, mean: Float64) -> Float64:
    """Up to a factor, which the mean cancels: exp of the cosine to the mean over the temperature, at most 1."""
    length = np.linalg.norm(members, axis=1) * np.linalg.norm(mean)
    cosine = members @ mean / np.maximum(length, np.finfo(np.float64).tiny)
    return np.asarray(np.exp((cosine - cosine.max()) / _ATTENTION_TEMPERATURE))


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

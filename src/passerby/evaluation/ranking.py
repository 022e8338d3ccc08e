"""Exact ranking, one block of queries at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from passerby.evaluation.arrays import Bool, Float32, Float64, Int64
from passerby.evaluation.metrics import Ranks

METRICS = ("euclidean", "cosine")
EXCLUSIONS = ("same_id_same_camera", "same_camera", "none")
_BLOCK = 2**21  # entries of a block of distances


@dataclass(frozen=True)
class Labels:
    """Person and camera of queries and gallery, and what is left out of a query's ranking.

    Attributes:
        query_pids: [q].
        gallery_pids: [g].
        query_camids: [q], -1 unknown.
        gallery_camids: [g], -1 unknown; an unknown camera equals no camera.
        counted: [g], false for gallery images that count for nobody (junk).
        exclude: "same_id_same_camera" (Market-1501), "same_camera" (CUHK03) or "none".
    """

    query_pids: Int64
    gallery_pids: Int64
    query_camids: Int64
    gallery_camids: Int64
    counted: Bool
    exclude: str = "same_id_same_camera"

    def kept(self, rows: slice | Int64) -> Bool:
        """Which gallery images count for the queries `rows`: [rows, g]."""
        kept = np.broadcast_to(self.counted, (len(self.query_pids[rows]), len(self.counted)))
        if self.exclude == "none":
            return kept
        camids = self.query_camids[rows, None]
        same = (camids == self.gallery_camids) & (camids >= 0)
        if self.exclude == "same_id_same_camera":
            same &= self.query_pids[rows, None] == self.gallery_pids
        return np.asarray(kept & ~same)


def match_ranks(query: Float32, gallery: Float32, labels: Labels, *, metric: str) -> Ranks:
    """Places of each query's true matches among the gallery images that count for it.

    Nearer images stand first; of equally near ones the one with the smaller gallery index.
    """
    return rank_rows(lambda rows: pairwise(query[rows], gallery, metric), labels)


def rank_rows(distances_of: Callable[[slice], Float64 | Float32], labels: Labels) -> Ranks:
    """Like `match_ranks`, from a function that gives the distances [rows, g] of a slice of queries."""
    positions, matches, kept_counts, tied = [], [], [], []
    count = len(labels.query_pids)
    step = max(1, _BLOCK // len(labels.gallery_pids))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        kept = labels.kept(rows)
        distances = distances_of(rows)
        same = labels.query_pids[rows, None] == labels.gallery_pids
        for row in range(len(distances)):
            index = np.flatnonzero(kept[row])
            order = np.argsort(distances[row, index], kind="stable")
            hits = same[row, index[order]]
            found = np.flatnonzero(hits) + 1
            positions.append(found)
            matches.append(len(found))
            kept_counts.append(len(index))
            near = distances[row, index[order]]
            tied.append(bool(len(found)) and bool((~hits & (near == near[found[0] - 1])).any()))
    return Ranks(
        positions=np.concatenate(positions).astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(matches)]).astype(np.int64),
        kept=np.array(kept_counts, dtype=np.int64),
        tied=np.array(tied, dtype=np.bool_),
    )


def pairwise(a: Float32, b: Float32, metric: str) -> Float64:
    """Distances [a, b]: Euclidean, or cosine (1 - cosine similarity)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if metric == "cosine":
        x, y = unit_rows(x), unit_rows(y)
        return np.asarray(1.0 - x @ y.T)
    squared = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2.0 * (x @ y.T)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def unit_rows(x: Float64) -> Float64:
    """Rows scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(np.divide(x, length, out=np.zeros_like(x), where=length > 0))


def top_k(
    query: Float32, gallery: Float32, k: int, *, metric: str = "euclidean", labels: Labels | None = None
) -> tuple[Int64, Float32]:
    """The k nearest gallery images of each query, nearest first, ties by gallery index.

    Args:
        query: [q, dim].
        gallery: [g, dim].
        k: how many.
        metric: "euclidean" or "cosine".
        labels: leaves out what does not count for a query; None keeps everything.

    Returns:
        (indices [q, k] int64, distances [q, k] float32); where fewer than k images count, -1 and infinity.
    """
    indices = np.full((len(query), k), -1, dtype=np.int64)
    nearest = np.full((len(query), k), np.inf, dtype=np.float32)
    step = max(1, _BLOCK // len(gallery))
    width = min(k, len(gallery))
    for start in range(0, len(query), step):
        rows = slice(start, min(start + step, len(query)))
        distances = pairwise(query[rows], gallery, metric)
        if labels is not None:
            distances[~labels.kept(rows)] = np.inf
        order = np.argsort(distances, axis=1, kind="stable")[:, :width]
        found = np.take_along_axis(distances, order, axis=1)
        indices[rows, :width] = np.where(np.isfinite(found), order, -1)
        nearest[rows, :width] = found
    return indices, nearest

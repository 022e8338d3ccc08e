"""Distances in float64, block by block of queries, and ranking by distances that somebody else computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.search.relevance import Relevance
from passerby.search.relevant_ranks import Ranks

_ENTRIES = 2**21  # of a block of distances: 16 MiB


def row_blocks(rows: int, columns: int, entries: int = _ENTRIES) -> Iterator[slice]:
    """Slices of rows, so that a block of that many rows and all columns has at most `entries` (or one row)."""
    step = max(1, entries // columns)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def pairwise(a: Float32, b: Float32, metric: str) -> Float64:
    """Distances [a, b] in float64: Euclidean, or 1 - cosine similarity (1 for a zero vector)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    product = x @ y.T
    lengths = (x * x).sum(axis=1)[:, None], (y * y).sum(axis=1)
    if metric == "euclidean":
        return np.asarray(np.sqrt(np.maximum(lengths[0] + lengths[1] - 2.0 * product, 0.0)))
    both = np.sqrt(lengths[0] * lengths[1])
    return np.asarray(1.0 - np.divide(product, both, out=np.zeros_like(product), where=both > 0))


def rank_rows(distances_of: Callable[[slice], Float64 | Float32], relevance: Relevance) -> Ranks:
    """Like `match_ranks`, from a function that gives the distances [rows, g] of a slice of queries."""
    positions, matches, kept_counts, tied = [], [], [], []
    count = len(relevance.query_labels)
    for rows in row_blocks(count, len(relevance.gallery_labels)):
        kept = relevance.kept(rows)
        distances = distances_of(rows)
        same = relevance.query_labels[rows, None] == relevance.gallery_labels
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

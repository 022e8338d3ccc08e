"""Jaccard distances of k-reciprocal neighbourhoods among one set of vectors, as a sparse graph of the near ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Int32, Int64
from passerby.config.evaluation import RerankSettings
from passerby.search.reranking.k_reciprocal import neighborhoods
from passerby.search.reranking.sparse_encoding import invert, jaccard_rows

_ENTRIES = 2**19  # of rows that are held before the far ones are dropped


@dataclass(frozen=True)
class JaccardGraph:
    """Pairs of vectors within a distance; row i is columns[starts[i] : starts[i + 1]], ascending, itself included.

    Attributes:
        starts: int64 [n + 1].
        columns: int32 [pairs].
        distances: float32 [pairs], 0 to `limit`.
        limit: what lies beyond is not stored.
    """

    starts: Int64
    columns: Int32
    distances: Float32
    limit: float

    def __len__(self) -> int:
        return len(self.starts) - 1


def jaccard_graph(
    vectors: Float32, *, limit: float, k1: int = 30, k2: int = 6, device: str | None = None, progress: bool = False
) -> JaccardGraph:
    """Jaccard distances J (see `passerby.search.reranking.k_reciprocal`) of all pairs with J <= limit.

    Memory grows with the number of stored pairs; no row of n distances outlives its turn.

    Args:
        vectors: float32 [n, dim], unit rows.
        limit: largest distance that is stored, below 1.
        k1: neighbours that must be mutual.
        k2: neighbours whose sets are averaged.
        device: where neighbours are searched; None: the CPU.
        progress: show a bar on stderr where there is much to do.
    """
    n = len(vectors)
    sets = neighborhoods(vectors, n, RerankSettings(k1=k1, k2=k2), device=device, progress=progress)
    index = invert(sets.starts, sets.columns, sets.values, 0)
    out_columns = np.empty(max(n, _ENTRIES), np.int32)
    out_values = np.empty(len(out_columns))
    counts = np.zeros(n, np.int64)
    columns, distances = [], []
    first = 0
    while first < n:
        sizes = np.zeros(n - first, np.int64)
        upto = jaccard_rows(first, n, sets.starts, sets.columns, sets.values, *index, out_columns, out_values, sizes)
        total = int(sizes[: upto - first].sum())
        near = out_values[:total] <= limit
        row = np.repeat(np.arange(first, upto), sizes[: upto - first])[near]
        counts += np.bincount(row, minlength=n)
        columns.append(out_columns[:total][near])
        distances.append(out_values[:total][near].astype(np.float32))
        first = upto
    starts = np.concatenate([[0], np.cumsum(counts)])
    return JaccardGraph(starts, np.concatenate(columns), np.concatenate(distances), limit)

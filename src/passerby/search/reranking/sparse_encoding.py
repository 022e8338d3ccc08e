"""The inner loops of k-reciprocal re-ranking, on sparse rows.

A sparse row i is columns[starts[i] : starts[i + 1]], ascending, with values beside them. Lists are rows of nearest
vectors, the vector itself first.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int32, Int64
from passerby.numba_jit import compiled


@compiled
def _mutual(lists: Int32, i: int, length: int, out: Int32) -> int:
    """Write those of i's first `length` that have i among their own first `length`, in the order of i's list."""
    n = 0
    for a in range(length):
        j = lists[i, a]
        for b in range(length):
            if lists[j, b] == i:
                out[n] = j
                n += 1
                break
    return n


@compiled
def reciprocal_sets(
    lists: Int32, length: int, half: int, at_least: bool, first: int, last: int, out: Int32, sizes: Int64
) -> int:
    """R*(i) of rows first..last, ascending, one after the other in `out`.

    Args:
        lists: nearest vectors of each, itself first, [n, at least `length`].
        length: k1 + 1, or fewer where there are not so many vectors.
        half: entries of a candidate's own list.
        at_least: join at an overlap of two thirds or more, instead of more than two thirds.
        first: first row.
        last: one after the last row.
        out: receives the sets; longer than length * (half + 1) for each row.
        sizes: receives their sizes, [last - first].

    Returns:
        Total size.
    """
    n = len(lists)
    original = np.empty(length, np.int32)
    others = np.empty(half, np.int32)
    mark = np.zeros(n, np.int32)  # 1: in R(i), 2: joined later
    total = 0
    for i in range(first, last):
        count = _mutual(lists, i, length, original)
        start = total
        for a in range(count):
            mark[original[a]] = 1
            out[total] = original[a]
            total += 1
        for a in range(count):
            size = _mutual(lists, original[a], half, others)
            common = 0
            for b in range(size):
                common += mark[others[b]] == 1
            if 3 * common > 2 * size or (at_least and 3 * common == 2 * size):
                for b in range(size):
                    if mark[others[b]] == 0:
                        mark[others[b]] = 2
                        out[total] = others[b]
                        total += 1
        for a in range(start, total):
            mark[out[a]] = 0
        out[start:total].sort()
        sizes[i - first] = total - start
    return total


@compiled
def average_rows(
    lists: Int32,
    k2: int,
    starts: Int64,
    columns: Int32,
    values: Float32,
    first: int,
    last: int,
    out_columns: Int32,
    out_values: Float32,
    sizes: Int64,
) -> int:
    """Mean of the sparse rows of each row's first k2 (itself included), for rows first..last; total size."""
    dense = np.zeros(len(lists), np.float64)
    total = 0
    for i in range(first, last):
        start = total
        for a in range(k2):
            j = lists[i, a]
            for p in range(starts[j], starts[j + 1]):
                c = columns[p]
                if dense[c] == 0.0:
                    out_columns[total] = c
                    total += 1
                dense[c] += np.float64(values[p])
        out_columns[start:total].sort()
        for p in range(start, total):
            out_values[p] = dense[out_columns[p]] / k2
            dense[out_columns[p]] = 0.0
        sizes[i - first] = total - start
    return total


@compiled
def invert(starts: Int64, columns: Int32, values: Float32, first: int) -> tuple[Int64, Int32, Float32]:
    """The transpose of rows first.. (numbered from 0): for each column, the rows that hold it and their values."""
    n = len(starts) - 1
    ends = np.zeros(n + 1, np.int64)
    for p in range(starts[first], starts[n]):
        ends[columns[p] + 1] += 1
    for c in range(n):
        ends[c + 1] += ends[c]
    begin = ends[:-1].copy()
    rows = np.empty(ends[n], np.int32)
    out = np.empty(ends[n], np.float32)
    for i in range(first, n):
        for p in range(starts[i], starts[i + 1]):
            c = columns[p]
            rows[begin[c]] = i - first
            out[begin[c]] = values[p]
            begin[c] += 1
    return ends, rows, out


@compiled
def shared_weight(
    columns: Int32, values: Float32, starts: Int64, rows: Int32, weights: Float32, shared: Float64, touched: Int32
) -> int:
    """s_j = sum_c min(V_ic, V_jc) for one sparse row i and all rows j of an inverted index.

    Args:
        columns: of row i.
        values: of row i.
        starts: of the inverted index.
        rows: of the inverted index.
        weights: of the inverted index.
        shared: zeros, [rows of the index]; receives s.
        touched: receives the rows with s > 0.

    Returns:
        How many those are.
    """
    n = 0
    for p in range(len(columns)):
        mine = np.float64(values[p])
        for q in range(starts[columns[p]], starts[columns[p] + 1]):
            j = rows[q]
            if shared[j] == 0.0:
                touched[n] = j
                n += 1
            shared[j] += min(mine, np.float64(weights[q]))
    return n


@compiled
def jaccard_rows(
    first: int,
    last: int,
    row_starts: Int64,
    columns: Int32,
    values: Float32,
    starts: Int64,
    rows: Int32,
    weights: Float32,
    out_columns: Int32,
    out_values: Float64,
    sizes: Int64,
) -> int:
    """Jaccard distance 1 - s / (2 - s) where s > 0, for rows first..last: sparse rows; stops when `out` is full.

    Returns:
        The row at which to go on; `last` when done.
    """
    count = int(rows.max()) + 1 if len(rows) else 0
    shared = np.zeros(count, np.float64)
    touched = np.empty(count, np.int32)
    total = 0
    for i in range(first, last):
        if len(out_columns) - total < count:
            return i
        a, b = row_starts[i], row_starts[i + 1]
        n = shared_weight(columns[a:b], values[a:b], starts, rows, weights, shared, touched)
        found = touched[:n]
        found.sort()
        for p in range(n):
            j = found[p]
            out_columns[total + p] = j
            # float32 values may sum to a little more than 1
            out_values[total + p] = max(0.0, 1.0 - shared[j] / (2.0 - shared[j]))
            shared[j] = 0.0
        total += n
        sizes[i - first] = n
    return last

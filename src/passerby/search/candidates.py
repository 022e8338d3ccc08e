"""The inner loops of exact nearest neighbours: collect what may be among the nearest, tile by tile.

For each row the scores seen so far that may belong to the k nearest are kept: all that are at least the k-th largest
score less twice the screen's error bound (`passerby.search.screening`). Exact keys choose among them in the end.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int32, Int64
from passerby.numba_jit import compiled

_LANES = 32  # columns that are looked at together


# Unsigned indices: signed ones are guarded against negative values, and then nothing vectorises.
@compiled
def _hits_in_row(line: Float32, offset: Float32, left: int, right: int, high: float, low: float) -> int:
    hits = 0
    for j in range(np.uint64(left), np.uint64(right)):
        score = line[j] - offset[j]
        hits += (score >= high) | (score < low)
    return hits


@compiled
def _hits_in_columns(
    line: Float32, shift: float, left: int, right: int, first_column: int, high: Float32, low: Float32
) -> int:
    hits = 0
    first = np.uint64(first_column)
    for j in range(np.uint64(left), np.uint64(right)):
        score = line[j] - shift
        hits += (score >= high[first + j]) | (score < low[first + j])
    return hits


@compiled
def _kth_largest(scores: Float32, k: int) -> np.float32:
    """Hoare's selection on a copy; numba's sort and partition take twice as long."""
    copy = scores.copy()
    low, high = 0, len(copy) - 1
    while low < high:
        pivot = copy[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while copy[i] > pivot:
                i += 1
            while copy[j] < pivot:
                j -= 1
            if i <= j:
                copy[i], copy[j] = copy[j], copy[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return np.float32(copy[k - 1])


@compiled
def scan_rows(
    scores: Float32,
    offset: Float32,
    first_row: int,
    first_column: int,
    rows: Int64,
    columns: Int64,
    k: int,
    slack: Float32,
    cut: Float32,
    kept_scores: Float32,
    kept_columns: Int32,
    kept: Int64,
    farthest_score: Float32,
    farthest: Int64,
    query: Float32,
    gallery: Float32,
    cosine: bool,
) -> None:
    """Look at each row of a tile.

    Args:
        scores: products of a block of rows with a block of columns; NaN is passed over.
        offset: what is subtracted from each column's products.
        first_row: number of the first row within the arrays of rows below.
        first_column: likewise of the first column within `columns`.
        rows: row of `query` of each row.
        columns: row of `gallery` of each column.
        k: how many nearest are wanted.
        slack: bound on a score's error, for each row.
        cut: scores below this are not among the k nearest, for each row.
        kept_scores: [rows, capacity], candidates.
        kept_columns: likewise, their rows in `gallery`.
        kept: how many candidates each row has.
        farthest_score: smallest score seen by each row.
        farthest: its row in `gallery`.
        query: all vectors of rows, for exact keys where too many candidates tie.
        gallery: all vectors of columns.
        cosine: metric.
    """
    width = scores.shape[1]
    capacity = kept_scores.shape[1]
    for row in range(scores.shape[0]):
        i = first_row + row
        line = scores[row]
        for left in range(0, width, _LANES):
            right = min(left + _LANES, width)
            if _hits_in_row(line, offset, left, right, cut[i], farthest_score[i]) == 0:
                continue
            for j in range(left, right):
                score = line[j] - offset[j]
                column = columns[first_column + j]
                if score < farthest_score[i]:
                    farthest_score[i] = score
                    farthest[i] = column
                if score >= cut[i]:
                    n = kept[i]
                    kept_scores[i, n] = score
                    kept_columns[i, n] = column
                    kept[i] = n + 1
                    if n + 1 == capacity:
                        _make_room(i, k, slack, cut, kept_scores, kept_columns, kept, rows, query, gallery, cosine)


@compiled
def scan_columns(
    scores: Float32,
    offset: Float32,
    left: int,
    right: int,
    first_row: int,
    first_column: int,
    k: int,
    slack: Float32,
    cut: Float32,
    kept_scores: Float32,
    kept_columns: Int32,
    kept: Int64,
    farthest_score: Float32,
    farthest: Int64,
    rows: Int64,
    vectors: Float32,
) -> None:
    """Like `scan_rows` for the tile's columns left..right, which are rows too: distances are symmetric.

    `offset` belongs to the tile's rows; the other arrays to all rows of `vectors`.
    """
    capacity = kept_scores.shape[1]
    for row in range(scores.shape[0]):
        i = first_row + row
        line = scores[row]
        shift = offset[row]
        for start in range(left, right, _LANES):
            end = min(start + _LANES, right)
            if _hits_in_columns(line, shift, start, end, first_column, cut, farthest_score) == 0:
                continue
            for j in range(start, end):
                score = line[j] - shift
                column = first_column + j
                if score < farthest_score[column]:
                    farthest_score[column] = score
                    farthest[column] = i
                if score >= cut[column]:
                    n = kept[column]
                    kept_scores[column, n] = score
                    kept_columns[column, n] = i
                    kept[column] = n + 1
                    if n + 1 == capacity:
                        _make_room(
                            column, k, slack, cut, kept_scores, kept_columns, kept, rows, vectors, vectors, False
                        )


@compiled
def _make_room(
    i: int,
    k: int,
    slack: Float32,
    cut: Float32,
    kept_scores: Float32,
    kept_columns: Int32,
    kept: Int64,
    rows: Int64,
    query: Float32,
    gallery: Float32,
    cosine: bool,
) -> None:
    """Tidy up a full row."""
    tidy(i, k, slack, cut, kept_scores, kept_columns, kept)
    if kept[i] > (k + kept_scores.shape[1]) // 2:
        _tidy_ties(i, k, kept_scores, kept_columns, kept, query[rows[i]], gallery, cosine)


@compiled
def tidy(i: int, k: int, slack: Float32, cut: Float32, kept_scores: Float32, kept_columns: Int32, kept: Int64) -> None:
    """Drop the candidates of row i that cannot be among the k nearest, and raise its cut."""
    n = kept[i]
    if n < k:
        return
    # two errors apart, and half a one for the rounding of this very subtraction
    cut[i] = max(cut[i], _kth_largest(kept_scores[i, :n], k) - np.float32(2.5) * slack[i])
    m = 0
    for c in range(n):
        if kept_scores[i, c] >= cut[i]:
            kept_scores[i, m] = kept_scores[i, c]
            kept_columns[i, m] = kept_columns[i, c]
            m += 1
    kept[i] = m


@compiled
def _tidy_ties(
    i: int,
    k: int,
    kept_scores: Float32,
    kept_columns: Int32,
    kept: Int64,
    vector: Float32,
    gallery: Float32,
    cosine: bool,
) -> None:
    """Keep exactly k candidates of row i, by exact keys and then by index (copies of images, a collapsed model)."""
    n = kept[i]
    keys = np.empty(n, np.float64)
    for c in range(n):
        other = gallery[kept_columns[i, c]]
        xy = xx = yy = total = 0.0
        for d in range(len(vector)):
            p, q = np.float64(vector[d]), np.float64(other[d])
            xy += p * q
            xx += p * p
            yy += q * q
            total += (p - q) * (p - q)
        keys[c] = total
        if cosine:
            keys[c] = 1.0 - xy / np.sqrt(xx * yy) if xx * yy > 0.0 else 1.0
    for c in range(k):  # selection: the few nearest to the front
        best = c
        for o in range(c + 1, n):
            if keys[o] < keys[best] or (keys[o] == keys[best] and kept_columns[i, o] < kept_columns[i, best]):
                best = o
        keys[c], keys[best] = keys[best], keys[c]
        kept_scores[i, c], kept_scores[i, best] = kept_scores[i, best], kept_scores[i, c]
        kept_columns[i, c], kept_columns[i, best] = kept_columns[i, best], kept_columns[i, c]
    kept[i] = k


@compiled
def tidy_all(k: int, slack: Float32, cut: Float32, kept_scores: Float32, kept_columns: Int32, kept: Int64) -> None:
    """`tidy` every row."""
    for i in range(len(kept)):
        tidy(i, k, slack, cut, kept_scores, kept_columns, kept)


@compiled
def choose(starts: Int64, columns: Int64, keys: Float64, k: int, indices: Int64, nearest: Float64) -> None:
    """The k nearest of each row's candidates columns[starts[i] : starts[i + 1]], by key and then by column."""
    for i in range(len(starts) - 1):
        first, last = starts[i], starts[i + 1]
        taken = np.zeros(last - first, np.bool_)
        for place in range(min(k, last - first)):
            best = -1
            for c in range(first, last):
                if taken[c - first]:
                    continue
                if best < 0 or keys[c] < keys[best] or (keys[c] == keys[best] and columns[c] < columns[best]):
                    best = c
            taken[best - first] = True
            indices[i, place] = columns[best]
            nearest[i, place] = keys[best]


@compiled
def hide(scores: Float32, first_row: int, starts: Int64, ends: Int64, hidden: Int64) -> None:
    """Make the scores of hidden[starts[i] : ends[i]] of each row NaN."""
    for row in range(scores.shape[0]):
        for h in range(starts[first_row + row], ends[first_row + row]):
            scores[row, hidden[h]] = np.nan

"""The inner loops of exact nearest neighbours: collect what may be among the nearest, tile by tile.

For each row the scores seen so far that may belong to the k nearest are kept: all that are at least the k-th largest
score less twice the screen's error bound (`passerby.search.screening`). Exact keys choose among them in the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from passerby.array_types import Float32, Float64, Int32, Int64
from passerby.numba_jit import compiled

_LANES = 32  # columns that are looked at together


class Candidates(NamedTuple):
    """What may be among the k nearest of each row, and each row's farthest.

    Attributes:
        k: how many nearest are wanted.
        slack: bound on a score's error, [rows].
        cut: scores below this are not among the k nearest, [rows].
        scores: of the candidates, [rows, capacity].
        columns: their numbers, [rows, capacity].
        held: how many candidates each row has, [rows].
        farthest_score: smallest score seen, [rows].
        farthest: its number, [rows].
    """

    k: int
    slack: Float32
    cut: Float32
    scores: Float32
    columns: Int32
    held: Int64
    farthest_score: Float32
    farthest: Int64


def no_candidates(rows: int, k: int, slack: Float32) -> Candidates:
    """None yet, for so many rows."""
    capacity = 2 * k + 32
    return Candidates(
        k=k,
        slack=slack,
        cut=np.full(rows, -np.inf, dtype=np.float32),
        scores=np.empty((rows, capacity), dtype=np.float32),
        columns=np.empty((rows, capacity), dtype=np.int32),
        held=np.zeros(rows, dtype=np.int64),
        farthest_score=np.full(rows, np.inf, dtype=np.float32),
        farthest=np.zeros(rows, dtype=np.int64),
    )


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
    columns: Int64,
    found: Candidates,
    rows: Int64,
    query: Float32,
    gallery: Float32,
    cosine: bool,
) -> None:
    """Look at each row of a tile.

    Args:
        scores: products of a block of rows with a block of columns; NaN is passed over.
        offset: what is subtracted from each column's products.
        first_row: number of the first row within `found` and `rows`.
        columns: row of `gallery` of each column of the tile.
        found: gains candidates.
        rows: row of `query` of each row.
        query: all vectors of rows, for exact keys where too many candidates tie.
        gallery: all vectors of columns.
        cosine: metric.
    """
    # plain arrays in the inner loop: handing the tuple on for every hit costs several times the scan
    cut, kept_scores, kept_columns, held = found.cut, found.scores, found.columns, found.held
    farthest_score, farthest = found.farthest_score, found.farthest
    capacity = kept_scores.shape[1]
    width = scores.shape[1]
    for row in range(scores.shape[0]):
        i = first_row + row
        line = scores[row]
        for left in range(0, width, _LANES):
            right = min(left + _LANES, width)
            if _hits_in_row(line, offset, left, right, cut[i], farthest_score[i]) == 0:
                continue
            for j in range(left, right):
                score = line[j] - offset[j]
                column = columns[j]
                if score < farthest_score[i]:
                    farthest_score[i] = score
                    farthest[i] = column
                if score >= cut[i]:
                    n = held[i]
                    kept_scores[i, n] = score
                    kept_columns[i, n] = column
                    held[i] = n + 1
                    if n + 1 == capacity:
                        _make_room(i, found, rows, query, gallery, cosine)


@compiled
def scan_columns(
    scores: Float32,
    offset: Float32,
    left: int,
    right: int,
    first_row: int,
    first_column: int,
    found: Candidates,
    rows: Int64,
    vectors: Float32,
) -> None:
    """Like `scan_rows` for the tile's columns left..right, which are rows too: distances are symmetric.

    `offset` belongs to the tile's rows; `found` and `rows` to all rows of `vectors`.
    """
    cut, kept_scores, kept_columns, held = found.cut, found.scores, found.columns, found.held
    farthest_score, farthest = found.farthest_score, found.farthest
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
                own = first_column + j
                score = line[j] - shift
                if score < farthest_score[own]:
                    farthest_score[own] = score
                    farthest[own] = i
                if score >= cut[own]:
                    n = held[own]
                    kept_scores[own, n] = score
                    kept_columns[own, n] = i
                    held[own] = n + 1
                    if n + 1 == capacity:
                        _make_room(own, found, rows, vectors, vectors, False)


@compiled
def _make_room(i: int, found: Candidates, rows: Int64, query: Float32, gallery: Float32, cosine: bool) -> None:
    """Tidy up a full row."""
    tidy(i, found)
    if found.held[i] > (found.k + found.scores.shape[1]) // 2:
        _tidy_ties(i, found, query[rows[i]], gallery, cosine)


@compiled
def tidy(i: int, found: Candidates) -> None:
    """Drop the candidates of row i that cannot be among the k nearest, and raise its cut."""
    n = found.held[i]
    if n < found.k:
        return
    # two errors apart, and half a one for the rounding of this very subtraction
    reach = np.float32(2.5) * found.slack[i]
    found.cut[i] = max(found.cut[i], _kth_largest(found.scores[i, :n], found.k) - reach)
    m = 0
    for c in range(n):
        if found.scores[i, c] >= found.cut[i]:
            found.scores[i, m] = found.scores[i, c]
            found.columns[i, m] = found.columns[i, c]
            m += 1
    found.held[i] = m


@compiled
def _tidy_ties(i: int, found: Candidates, vector: Float32, gallery: Float32, cosine: bool) -> None:
    """Leave exactly k candidates of row i, by exact keys and then by index (copies of images, a collapsed model)."""
    n = found.held[i]
    scores, columns = found.scores[i], found.columns[i]
    keys = np.empty(n, np.float64)
    for c in range(n):
        other = gallery[columns[c]]
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
    for c in range(found.k):  # selection: the few nearest to the front
        nearest = c
        for o in range(c + 1, n):
            if keys[o] < keys[nearest] or (keys[o] == keys[nearest] and columns[o] < columns[nearest]):
                nearest = o
        keys[c], keys[nearest] = keys[nearest], keys[c]
        scores[c], scores[nearest] = scores[nearest], scores[c]
        columns[c], columns[nearest] = columns[nearest], columns[c]
    found.held[i] = found.k


@compiled
def tidy_all(found: Candidates) -> None:
    """`tidy` every row."""
    for i in range(len(found.held)):
        tidy(i, found)


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

"""The inner loops of exact ranking.

Which of two images is nearer is decided by `passerby.search.exact_keys` alone.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int32, Int64
from passerby.numba_jit import compiled, compiled_sums

_LANES = 64  # columns that are looked at together
_INSERTION = 64  # up to so many keys insertion sort is faster


@compiled
def sort_within(offsets: Int64, keys: Float64, columns: Int64) -> None:
    """Sort keys[offsets[i] : offsets[i + 1]] in place, ascending, and their columns with them; stable."""
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        if end - start > _INSERTION:
            order = np.argsort(keys[start:end], kind="mergesort")
            keys[start:end] = keys[start:end][order]
            columns[start:end] = columns[start:end][order]
            continue
        for a in range(start + 1, end):
            key, column = keys[a], columns[a]
            b = a
            while b > start and keys[b - 1] > key:
                keys[b], columns[b] = keys[b - 1], columns[b - 1]
                b -= 1
            keys[b], columns[b] = key, column


@compiled_sums
def prepare_rows(vectors: Float32, rows: Int64, center: Float32, scale: float, cosine: bool, out: Float32) -> Float64:
    """Centred and scaled, or unit, copies of some rows; each entry is rounded once. Returns their squared lengths."""
    squared = np.empty(len(rows), np.float64)
    for i in range(len(rows)):
        vector, copy = vectors[rows[i]], out[i]
        factor = scale
        if cosine:
            length = 0.0
            for k in range(len(vector)):
                length += np.float64(vector[k]) * np.float64(vector[k])
            factor = 1.0 / np.sqrt(length) if length > 0.0 else 0.0
        total = 0.0
        for k in range(len(vector)):
            moved = np.float32((np.float64(vector[k]) - np.float64(center[k])) * factor)
            copy[k] = moved
            total += np.float64(moved) * np.float64(moved)
        squared[i] = total
    return squared


@compiled_sums
def longest_row(vectors: Float32, center: Float32) -> float:
    """The greatest distance of a row from the centre."""
    longest = 0.0
    for i in range(len(vectors)):
        total = 0.0
        for k in range(len(center)):
            difference = np.float64(vectors[i, k]) - np.float64(center[k])
            total += difference * difference
        longest = max(longest, total)
    return float(np.sqrt(longest))


@compiled
def count_rows(
    scores: Float32,
    offset: Float32,
    first_row: int,
    first_query: int,
    hidden_starts: Int64,
    hidden_ends: Int64,
    hidden: Int64,
    match_offsets: Int64,
    match_scores: Float32,
    slack: Float32,
    before: Int64,
    close_query: Int64,
    close_column: Int64,
    close_match: Int64,
) -> tuple[int, int]:
    """Count, for each true match, the wrong images of a tile that surely stand before it; list the close ones.

    Args:
        scores: products of a block of queries with the tile's columns, [b, c]; larger is nearer. Overwritten.
        offset: what is subtracted from each column's products, [c].
        first_row: where to start in `scores`.
        first_query: number of the query of scores[0] within the arrays below.
        hidden_starts: hidden[hidden_starts[i] : hidden_ends[i]] are the tile's columns that show query i's person.
        hidden_ends: likewise.
        hidden: columns of the tile.
        match_offsets: query i owns match_scores[match_offsets[i] : match_offsets[i + 1]], nearest first.
        match_scores: what the score of a match would be without rounding.
        slack: a score of query i is at most slack[i] from its exact value.
        before: [matches]; gains the wrong images that surely stand before each match.
        close_query: receives queries of pairs that exact keys must decide; at least as long as a row of scores.
        close_column: receives their columns of the tile.
        close_match: receives the last match they may stand before (they are counted already for those after it).

    Returns:
        (number of close pairs, row at which to go on; the number of rows when done).
    """
    rows, width = scores.shape
    close = 0
    for row in range(first_row, rows):
        if len(close_query) - close < width:
            return close, row
        i = first_query + row
        start, end = match_offsets[i], match_offsets[i + 1]
        if start == end:
            continue
        line = scores[row]
        for j in range(width):
            line[j] -= offset[j]
        for h in range(hidden_starts[i], hidden_ends[i]):
            line[hidden[h]] = -np.inf
        for match in range(end - 1, start - 1, -1):
            low, high = match_scores[match] - slack[i], match_scores[match] + slack[i]
            maybe = 0
            surely = 0
            for j in range(width):
                maybe += line[j] >= low
                surely += line[j] > high
            if maybe == 0:
                break  # then nothing stands before the nearer matches either
            before[match] += surely
            if maybe > surely:
                for left in range(0, width, _LANES):
                    right = min(left + _LANES, width)
                    here = 0
                    for j in range(left, right):
                        here += (line[j] >= low) & (line[j] <= high)
                    if here == 0:
                        continue
                    for j in range(left, right):
                        if low <= line[j] <= high:
                            close_query[close] = i
                            close_column[close] = j
                            close_match[close] = match
                            close += 1
                            line[j] = -np.inf
    return close, rows


@compiled
def place_close(
    queries: Int64,
    columns: Int64,
    lasts: Int64,
    keys: Float64,
    match_offsets: Int64,
    match_keys: Float64,
    match_columns: Int64,
    before: Int64,
    tied: Bool,
) -> None:
    """Count close pairs for the matches they stand before, by exact key and then by gallery index.

    Args:
        queries: the pairs' queries.
        columns: their gallery images.
        lasts: the last match each may stand before.
        keys: their exact keys.
        match_offsets: as in `count_rows`.
        match_keys: exact keys of the matches, ascending within a query.
        match_columns: gallery images of the matches.
        before: [matches]; gains the pairs.
        tied: [queries]; set where a pair is exactly as near as the first match.
    """
    for p in range(len(queries)):
        start = match_offsets[queries[p]]
        if keys[p] == match_keys[start]:
            tied[queries[p]] = True
        match = lasts[p]
        while match >= start and (
            keys[p] < match_keys[match] or (keys[p] == match_keys[match] and columns[p] < match_columns[match])
        ):
            before[match] += 1
            match -= 1


@compiled
def add_bonus(
    scores: Float32, first_query: int, starts: Int64, columns: Int32, worth: Float32, tile_columns: Int64
) -> None:
    """Add a bonus to the scores of a few pairs.

    Args:
        scores: of queries first_query.. with the tile's columns.
        first_query: number of the first query.
        starts: query i owns columns[starts[i] : starts[i + 1]].
        columns: gallery images, ascending within a query.
        worth: what is added for each.
        tile_columns: gallery images of the tile, ascending.
    """
    left, right = tile_columns[0], tile_columns[-1]
    for row in range(scores.shape[0]):
        end = starts[first_query + row + 1]
        p = starts[first_query + row]
        p += np.searchsorted(columns[p:end], left)
        while p < end and columns[p] <= right:
            at = np.searchsorted(tile_columns, columns[p])
            if tile_columns[at] == columns[p]:
                scores[row, at] += worth[p]
            p += 1

"""Exact nearest neighbours in bounded memory, among all vectors or of queries in a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.errors import ConfigError
from passerby.progress import progress_bar
from passerby.search.candidates import Candidates, choose, hide, no_candidates, scan_columns, scan_rows, tidy_all
from passerby.search.distances import row_blocks
from passerby.search.exact_keys import exact_keys
from passerby.search.relevance import Relevance
from passerby.search.tiles import Tiles, bar_length, blocks, open_tiles

BLOCK = 768  # rows and columns of a tile
PAIRS = 2**20  # exact keys that are held at once


@dataclass(frozen=True)
class Neighbors:
    """Each vector's nearest others.

    Attributes:
        indices: [n, k], nearest first, ties by index; the vector itself is not among them.
        keys: squared distances, [n, k].
        farthest: squared distance of the farthest vector, [n] (to the float32 product's precision).
    """

    indices: Int64
    keys: Float64
    farthest: Float64


def neighbors(vectors: Float32, k: int, *, device: str | None = None, progress: bool = False) -> Neighbors:
    """Each vector's k nearest others by Euclidean distance; half of the products, as distances are symmetric.

    Args:
        vectors: [n, dim].
        k: how many; fewer where there are not so many others.
        device: where products are computed; None: the CPU.
        progress: show a bar on stderr where there is much to do.
    """
    n = len(vectors)
    k = min(k, n - 1)
    rows = np.arange(n)
    parts = blocks(rows, BLOCK)
    length = bar_length(len(parts) * (len(parts) + 1) // 2, n * n, progress=progress)
    with open_tiles(vectors, vectors, cosine=False, device=device) as tiles, progress_bar("neighbours", length) as bar:
        squared = np.concatenate([tiles.screen.prepare(vectors, part)[1] for part in parts])
        offset = tiles.screen.offsets(squared)
        found = no_candidates(n, max(k, 1), tiles.screen.slack(squared, vectors.shape[1]))
        buffer = np.empty(BLOCK * BLOCK, dtype=np.float32)
        # each block with itself first: then the columns of the other tiles already have a high cut
        pairs = [(a, a) for a in range(len(parts))] + list(combinations(range(len(parts)), 2))
        prepared = (-1, np.empty((0, 0), dtype=np.float32))
        for a, b in pairs:
            if prepared[0] != a:
                prepared = a, tiles.queries(parts[a]).doubled
            scores = tiles.scores(prepared[1], tiles.gallery_block(parts[b]), buffer)
            if a == b:
                np.fill_diagonal(scores, np.nan)
            _scan_both(tiles, scores, offset, parts[a], parts[b], found, rows)
            bar.advance()
    farthest = exact_keys(vectors, vectors, rows, found.farthest, False)
    if k < 1:
        return Neighbors(np.empty((n, 0), dtype=np.int64), np.empty((n, 0)), farthest)
    indices, keys = _nearest_of(found, vectors, vectors, rows, False)
    return Neighbors(indices, keys, farthest)


def _scan_both(
    tiles: Tiles,
    scores: Float32,
    offset: Float32,
    above: Int64,
    across: Int64,
    found: Candidates,
    rows: Int64,
) -> None:
    """Look at a tile by its rows and, as distances are symmetric, by its columns."""
    vectors = tiles.query
    first_row, first_column = int(above[0]), int(across[0])

    def by_row(start: int, end: int) -> None:
        scan_rows(scores[start:end], offset[across], first_row + start, across, found, rows, vectors, vectors, False)

    def by_column(start: int, end: int) -> None:
        scan_columns(scores, offset[above], start, end, first_row, first_column, found, rows, vectors)

    tiles.share(len(above), by_row)
    if across is not above:
        tiles.share(len(across), by_column)


def _nearest_of(
    found: Candidates, query: Float32, gallery: Float32, rows: Int64, cosine: bool
) -> tuple[Int64, Float64]:
    """The k nearest of each row by exact key: indices (-1 where there are fewer) and keys (infinity)."""
    tidy_all(found)
    indices = np.full((len(rows), found.k), -1, dtype=np.int64)
    nearest = np.full((len(rows), found.k), np.inf)
    for part in row_blocks(len(rows), found.scores.shape[1], PAIRS):
        count = found.held[part]
        inside = np.arange(found.scores.shape[1]) < count[:, None]
        columns = found.columns[part][inside].astype(np.int64)
        keys = exact_keys(query, gallery, np.repeat(rows[part], count), columns, cosine)
        starts = np.concatenate([[0], np.cumsum(count)])
        choose(starts, columns, keys, found.k, indices[part], nearest[part])
    return indices, nearest


def top_k(
    query: Float32,
    gallery: Float32,
    k: int,
    *,
    metric: str = "euclidean",
    relevance: Relevance | None = None,
    device: str | None = None,
    progress: bool = False,
) -> tuple[Int64, Float32]:
    """The k nearest gallery images of each query, nearest first, ties by gallery index.

    Args:
        query: [q, dim].
        gallery: [g, dim].
        k: how many.
        metric: "euclidean" or "cosine".
        relevance: leaves out what does not count for a query; None keeps everything.
        device: where products are computed; None: the CPU.
        progress: show a bar on stderr where there is much to do.

    Returns:
        (indices [q, k] int64, distances [q, k] float32); where fewer than k images count, -1 and infinity.

    Raises:
        ConfigError: `k` is no whole number of 0 or more.
    """
    if not isinstance(k, (int, np.integer)) or k < 0:
        raise ConfigError(f"k: expected a whole number of nearest images, 0 or more, found {k!r}")
    indices = np.full((len(query), k), -1, dtype=np.int64)
    nearest = np.full((len(query), k), np.inf, dtype=np.float32)
    groups = relevance.groups() if relevance else iter([(np.arange(len(query)), np.arange(len(gallery)))])
    length = bar_length(len(query), len(query) * len(gallery), progress=progress)
    cosine = metric == "cosine"
    with open_tiles(query, gallery, cosine=cosine, device=device) as tiles, progress_bar("nearest", length) as bar:
        for queries, searched in groups:
            for rows in blocks(queries, BLOCK):
                found, keys = _nearest(tiles, rows, searched, min(k, len(searched)), relevance)
                indices[rows, : found.shape[1]] = found
                nearest[rows, : found.shape[1]] = keys if cosine else np.sqrt(keys)
                bar.advance(len(rows))
    return indices, nearest


def _nearest(tiles: Tiles, rows: Int64, searched: Int64, k: int, relevance: Relevance | None) -> tuple[Int64, Float64]:
    """Indices and keys of the k nearest gallery vectors among `searched`, for the queries `rows`."""
    if k == 0:
        return np.empty((len(rows), 0), dtype=np.int64), np.empty((len(rows), 0))
    block = tiles.queries(rows)
    found = no_candidates(len(rows), k, block.slack)
    found.farthest_score[:] = -np.inf  # not asked for
    buffer = np.empty(len(rows) * min(BLOCK, len(searched)), dtype=np.float32)
    for columns in blocks(searched, BLOCK):
        right = tiles.gallery_block(columns)
        scores = tiles.scores(block.doubled, right, buffer)
        if relevance is not None and relevance.exclude == "same_label_and_source":
            starts, ends, hidden = relevance.own_source(rows, columns)
            hide(scores, 0, starts, ends, hidden)

        def by_row(
            start: int, end: int, scores: Float32 = scores, offset: Float32 = right.offset, c: Int64 = columns
        ) -> None:
            scan_rows(scores[start:end], offset, start, c, found, rows, tiles.query, tiles.gallery, tiles.screen.cosine)

        tiles.share(len(rows), by_row)
    return _nearest_of(found, tiles.query, tiles.gallery, rows, tiles.screen.cosine)

"""Exact ranking in bounded memory: no full distance matrix, no full sort.

Every pair is screened by a float32 product, tile by tile. Where the screen's error bound cannot tell which of two
images is nearer, exact distances decide (`passerby.search.counting.exact_keys`), and between equal ones the smaller
gallery index. The result is that of a stable sort by exact distances, whatever the tiles and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int32, Int64
from passerby.progress import ProgressBar, progress_bar
from passerby.search.counting import add_bonus, count_rows, exact_keys, place_close, sort_within
from passerby.search.neighbors import WORKERS, top_k
from passerby.search.products import Product, product_on
from passerby.search.ranks import Ranks
from passerby.search.relevance import METRICS, Relevance
from passerby.search.screening import Screen, make_screen

__all__ = ["METRICS", "Relevance", "match_ranks", "pairwise", "rank_rows", "top_k"]

_BLOCK = 2**21  # entries of a block of distances
_QUERY_BYTES = 16 * 2**20  # prepared queries that are kept at once
_QUERY_MATCHES = 2**19  # true matches of the queries that are kept at once
_BONUS_QUERIES = 2048  # queries whose bonuses are kept at once
_BONUS_ROUNDING = 2.0**-21  # of the bonus, its sum with a score, and the match's score: 8 u of each
_TILE_COLUMNS = 2048
_TILE_ROWS = 512
_CLOSE_PAIRS = 2**15  # pairs that wait for exact keys, for each thread
_LONG = 10**9  # pairs from which on a progress bar is shown


@dataclass(frozen=True)
class Bonus:
    """For a block of queries, what is taken off the exact keys of a few pairs before ranking.

    Attributes:
        starts: query i owns columns[starts[i] : starts[i + 1]], [block + 1].
        columns: gallery images, ascending within a query.
        worth: what is taken off, 0 or more.
    """

    starts: Int64
    columns: Int32
    worth: Float64

    def of(self, queries: Int64, columns: Int64) -> Float64:
        """What is taken off some pairs."""
        if len(self.columns) == 0 or len(queries) == 0:
            return np.zeros(len(queries))
        # sorted by query and column, so that one number finds a pair
        span = max(int(self.columns.max()), int(columns.max())) + 1
        owner = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        table, wanted = owner * span + self.columns, queries * span + columns
        at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        return np.where(table[at] == wanted, self.worth[at], 0.0)


@dataclass(frozen=True)
class _Matches:
    """True matches of a block of queries, nearest first; `hidden` counts left-out images of each query's person."""

    offsets: Int64
    columns: Int64
    keys: Float64
    hidden: Int64


@dataclass(frozen=True)
class _Tile:
    """Some gallery images; hidden[starts[i] : ends[i]] are those of query i's person."""

    columns: Int64
    offset: Float32
    hidden: Int64
    starts: Int64
    ends: Int64


def match_ranks(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    *,
    metric: str,
    bonus_of: Callable[[Int64], Bonus] | None = None,
    device: str | None = None,
    progress: bool = False,
) -> Ranks:
    """Places of each query's true matches among the gallery images that count for it.

    Nearer images stand first; of equally near ones the one with the smaller gallery index.

    Args:
        query: [q, dim].
        gallery: [g, dim].
        relevance: who is who, and what counts for whom.
        metric: "euclidean" or "cosine".
        bonus_of: queries -> what is taken off their exact keys (squared distances) before ranking.
        device: where products are computed (`passerby.search.products`); None: the CPU.
        progress: show a bar on stderr where there is much to do.
    """
    count = len(query)
    product = product_on(device)
    screen = make_screen(query, gallery, cosine=metric == "cosine")
    found: list[tuple[Int64, Ranks]] = []
    with (
        ThreadPoolExecutor(WORKERS) as pool,
        progress_bar("rank", count if progress and count * len(gallery) >= _LONG else 0) as bar,
    ):
        for queries, searched in relevance.groups():
            by_person = searched[np.argsort(relevance.gallery_labels[searched], kind="stable")]
            most = max(1, _QUERY_BYTES // (4 * query.shape[1])) if bonus_of is None else _BONUS_QUERIES
            for rows in _query_blocks(queries, most, relevance.gallery_labels[by_person], relevance.query_labels):
                bonus = None if bonus_of is None else bonus_of(rows)
                matches = _find_matches(query, gallery, relevance, rows, by_person, bonus, screen.cosine)
                ranks = _count(query, gallery, relevance, rows, searched, matches, bonus, screen, product, pool, bar)
                found.append((rows, ranks))
    return _join(found, count)


def _query_blocks(queries: Int64, most: int, sorted_pids: Int64, query_labels: Int64) -> Iterator[Int64]:
    """Queries in blocks whose prepared vectors and true matches stay within bounds."""
    pids = query_labels[queries]
    same = np.searchsorted(sorted_pids, pids, "right") - np.searchsorted(sorted_pids, pids, "left")
    start = 0
    while start < len(queries):
        within = np.cumsum(same[start : start + most]) <= _QUERY_MATCHES
        end = start + max(1, int(within.sum()))
        yield queries[start:end]
        start = end


def _find_matches(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    rows: Int64,
    by_person: Int64,
    bonus: Bonus | None,
    cosine: bool,
) -> _Matches:
    pids = relevance.query_labels[rows]
    sorted_pids = relevance.gallery_labels[by_person]
    start = np.searchsorted(sorted_pids, pids, "left")
    size = np.searchsorted(sorted_pids, pids, "right") - start
    owner = np.repeat(np.arange(len(rows)), size)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size) + np.repeat(start, size)
    columns = by_person[place]
    keep = np.ones(len(owner), dtype=np.bool_)
    if relevance.exclude == "same_label_and_source":
        camids = relevance.query_sources[rows][owner]
        keep = (camids < 0) | (camids != relevance.gallery_sources[columns])
    owner, columns = owner[keep], columns[keep]
    keys = exact_keys(query, gallery, rows[owner], columns, cosine)
    if bonus is not None:
        keys -= bonus.of(owner, columns)
    matches = np.bincount(owner, minlength=len(rows))
    offsets = np.concatenate([[0], np.cumsum(matches)])
    sort_within(offsets, keys, columns)  # columns come in ascending order
    return _Matches(offsets=offsets, columns=columns, keys=keys, hidden=size - matches)


def _count(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    rows: Int64,
    searched: Int64,
    matches: _Matches,
    bonus: Bonus | None,
    screen: Screen,
    product: Product,
    pool: ThreadPoolExecutor,
    bar: ProgressBar,
) -> Ranks:
    """Ranks of the queries `rows` among the gallery images `searched`."""
    prepared, squared = screen.prepare(query, rows)
    prepared *= np.float32(2.0)
    slack = screen.slack(squared, query.shape[1])
    if bonus is not None:
        worth = (bonus.worth * screen.scale**2).astype(np.float32)
        slack += np.float32(_BONUS_ROUNDING * worth.max(initial=0))
    counts = np.diff(matches.offsets)
    match_scores = screen.score_of(matches.keys, np.repeat(squared, counts))
    before = np.zeros(len(matches.keys), dtype=np.int64)
    tied = np.zeros(len(rows), dtype=np.bool_)
    pids = relevance.query_labels[rows]

    def count(scores: Float32, first: int, tile: _Tile) -> None:
        close = np.empty((3, max(_CLOSE_PAIRS, scores.shape[1])), dtype=np.int64)
        row = 0
        if bonus is not None:
            add_bonus(scores, first, bonus.starts, bonus.columns, worth, tile.columns)
        while row < len(scores):
            found, row = count_rows(
                scores, tile.offset, row, first, tile.starts, tile.ends, tile.hidden,
                matches.offsets, match_scores, slack, before, close[0], close[1], close[2],
            )  # fmt: skip
            of, column, last = close[0, :found], tile.columns[close[1, :found]], close[2, :found]
            keys = exact_keys(query, gallery, rows[of], column, screen.cosine)
            if bonus is not None:
                keys -= bonus.of(of, column)
            place_close(of, column, last, keys, matches.offsets, matches.keys, matches.columns, before, tied)

    block = np.empty(min(_TILE_ROWS, len(rows)) * min(_TILE_COLUMNS, len(searched)), dtype=np.float32)
    for left in range(0, len(searched), _TILE_COLUMNS):
        columns = searched[left : left + _TILE_COLUMNS]
        vectors, lengths = screen.prepare(gallery, columns)
        tile = _make_tile(columns, relevance.gallery_labels[columns], pids, screen.offsets(lengths))
        for top in range(0, len(rows), _TILE_ROWS):
            part = prepared[top : top + _TILE_ROWS]
            scores = block[: len(part) * len(columns)].reshape(len(part), len(columns))
            product(part, vectors, scores)
            half = -(-len(part) // WORKERS)
            # each thread has queries of its own, hence matches of its own to count for
            jobs = [pool.submit(count, scores[s : s + half], top + s, tile) for s in range(0, len(part), half)]
            for job in jobs:
                job.result()
        bar.advance(len(rows) * len(columns) / len(searched))
    place = np.arange(len(before)) - np.repeat(matches.offsets[:-1], counts) + 1
    return Ranks(positions=before + place, offsets=matches.offsets, kept=len(searched) - matches.hidden, tied=tied)


def _make_tile(columns: Int64, pids: Int64, query_labels: Int64, offset: Float32) -> _Tile:
    hidden = np.argsort(pids, kind="stable")
    return _Tile(
        columns=columns,
        offset=offset,
        hidden=hidden,
        starts=np.searchsorted(pids[hidden], query_labels, "left"),
        ends=np.searchsorted(pids[hidden], query_labels, "right"),
    )


def _join(parts: list[tuple[Int64, Ranks]], count: int) -> Ranks:
    """Ranks of all queries in order, from ranks of parts of them."""
    matches = np.zeros(count, dtype=np.int64)
    kept = np.zeros(count, dtype=np.int64)
    tied = np.zeros(count, dtype=np.bool_)
    for rows, ranks in parts:
        matches[rows], kept[rows], tied[rows] = ranks.matches, ranks.kept, ranks.tied
    offsets = np.concatenate([[0], np.cumsum(matches)]).astype(np.int64)
    positions = np.empty(offsets[-1], dtype=np.int64)
    for rows, ranks in parts:
        size = ranks.matches
        within = np.arange(len(ranks.positions)) - np.repeat(ranks.offsets[:-1], size)
        positions[np.repeat(offsets[rows], size) + within] = ranks.positions
    return Ranks(positions, offsets, kept, tied)


def rank_rows(distances_of: Callable[[slice], Float64 | Float32], relevance: Relevance) -> Ranks:
    """Like `match_ranks`, from a function that gives the distances [rows, g] of a slice of queries."""
    positions, matches, kept_counts, tied = [], [], [], []
    count = len(relevance.query_labels)
    step = max(1, _BLOCK // len(relevance.gallery_labels))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
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


def pairwise(a: Float32, b: Float32, metric: str) -> Float64:
    """Distances [a, b] in float64: Euclidean, or 1 - cosine similarity (1 for a zero vector)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    product = x @ y.T
    lengths = (x * x).sum(axis=1)[:, None], (y * y).sum(axis=1)
    if metric == "euclidean":
        return np.asarray(np.sqrt(np.maximum(lengths[0] + lengths[1] - 2.0 * product, 0.0)))
    both = np.sqrt(lengths[0] * lengths[1])
    return np.asarray(1.0 - np.divide(product, both, out=np.zeros_like(product), where=both > 0))

"""Exact ranking in bounded memory: no full distance matrix, no full sort.

Every pair is screened by a float32 product, tile by tile. Where the screen's error bound cannot tell which of two
images is nearer, exact distances decide (`passerby.search.exact_keys`), and between equal ones the smaller
gallery index. The result is that of a stable sort by exact distances, whatever the tiles and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.progress import ProgressBar, progress_bar
from passerby.search.counting import add_bonus, count_rows, place_close, sort_within
from passerby.search.exact_keys import exact_keys
from passerby.search.key_discounts import Bonus
from passerby.search.relevance import Relevance
from passerby.search.relevant_ranks import Ranks
from passerby.search.tiles import Tiles, bar_length, blocks, open_tiles

_QUERY_BYTES = 16 * 2**20  # prepared queries that are kept at once
_QUERY_MATCHES = 2**19  # true matches of the queries that are kept at once
_BONUS_QUERIES = 2048  # queries whose bonuses are kept at once
_BONUS_ROUNDING = 2.0**-21  # of the bonus, its sum with a score, and the match's score: 8 u of each
_TILE_COLUMNS = 2048
_TILE_ROWS = 512
_CLOSE_PAIRS = 2**15  # pairs that wait for exact keys, for each thread


@dataclass(frozen=True)
class _Matches:
    """True matches of a block of queries, nearest first; `hidden` counts the left-out vectors of each query's label."""

    offsets: Int64
    columns: Int64
    keys: Float64
    hidden: Int64


@dataclass(frozen=True)
class _Hidden:
    """Some gallery vectors; order[starts[i] : ends[i]] are the places among them that have query i's label."""

    columns: Int64
    order: Int64
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
    found: list[tuple[Int64, Ranks]] = []
    length = bar_length(count, count * len(gallery), progress=progress)
    with (
        open_tiles(query, gallery, cosine=metric == "cosine", device=device) as tiles,
        progress_bar("rank", length) as bar,
    ):
        for queries, searched in relevance.groups():
            by_label = searched[np.argsort(relevance.gallery_labels[searched], kind="stable")]
            most = max(1, _QUERY_BYTES // (4 * query.shape[1])) if bonus_of is None else _BONUS_QUERIES
            for rows in _query_blocks(queries, most, relevance.gallery_labels[by_label], relevance.query_labels):
                bonus = None if bonus_of is None else bonus_of(rows)
                matches = _find_matches(tiles, relevance, rows, by_label, bonus)
                found.append((rows, _count(tiles, relevance, rows, searched, matches, bonus, bar)))
    return _join(found, count)


def _query_blocks(queries: Int64, most: int, sorted_labels: Int64, query_labels: Int64) -> Iterator[Int64]:
    """Queries in blocks whose prepared vectors and true matches stay within bounds."""
    labels = query_labels[queries]
    same = np.searchsorted(sorted_labels, labels, "right") - np.searchsorted(sorted_labels, labels, "left")
    start = 0
    while start < len(queries):
        within = np.cumsum(same[start : start + most]) <= _QUERY_MATCHES
        end = start + max(1, int(within.sum()))
        yield queries[start:end]
        start = end


def _find_matches(tiles: Tiles, relevance: Relevance, rows: Int64, by_label: Int64, bonus: Bonus | None) -> _Matches:
    """True matches of the queries `rows` among gallery vectors sorted by label."""
    labels = relevance.query_labels[rows]
    sorted_labels = relevance.gallery_labels[by_label]
    start = np.searchsorted(sorted_labels, labels, "left")
    size = np.searchsorted(sorted_labels, labels, "right") - start
    owner = np.repeat(np.arange(len(rows)), size)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size) + np.repeat(start, size)
    columns = by_label[place]
    keep = np.ones(len(owner), dtype=np.bool_)
    if relevance.exclude == "same_label_and_source":
        sources = relevance.query_sources[rows][owner]
        keep = (sources < 0) | (sources != relevance.gallery_sources[columns])
    owner, columns = owner[keep], columns[keep]
    keys = exact_keys(tiles.query, tiles.gallery, rows[owner], columns, tiles.screen.cosine)
    if bonus is not None:
        keys -= bonus.of(owner, columns)
    matches = np.bincount(owner, minlength=len(rows))
    offsets = np.concatenate([[0], np.cumsum(matches)])
    sort_within(offsets, keys, columns)  # columns come in ascending order
    return _Matches(offsets=offsets, columns=columns, keys=keys, hidden=size - matches)


def _count(
    tiles: Tiles,
    relevance: Relevance,
    rows: Int64,
    searched: Int64,
    matches: _Matches,
    bonus: Bonus | None,
    bar: ProgressBar,
) -> Ranks:
    """Ranks of the queries `rows` among the gallery vectors `searched`."""
    query, gallery, screen = tiles.query, tiles.gallery, tiles.screen
    block = tiles.queries(rows)
    slack = block.slack
    if bonus is not None:
        worth = (bonus.worth * screen.scale**2).astype(np.float32)
        slack = slack + np.float32(_BONUS_ROUNDING * worth.max(initial=0))
    counts = np.diff(matches.offsets)
    match_scores = screen.score_of(matches.keys, np.repeat(block.squared, counts))
    before = np.zeros(len(matches.keys), dtype=np.int64)
    tied = np.zeros(len(rows), dtype=np.bool_)
    labels = relevance.query_labels[rows]

    def count(scores: Float32, first: int, offset: Float32, hidden: _Hidden) -> None:
        close = np.empty((3, max(_CLOSE_PAIRS, scores.shape[1])), dtype=np.int64)
        row = 0
        if bonus is not None:
            add_bonus(scores, first, bonus.starts, bonus.columns, worth, hidden.columns)
        while row < len(scores):
            found, row = count_rows(
                scores, offset, row, first, hidden.starts, hidden.ends, hidden.order,
                matches.offsets, match_scores, slack, before, close[0], close[1], close[2],
            )  # fmt: skip
            of, column, last = close[0, :found], hidden.columns[close[1, :found]], close[2, :found]
            keys = exact_keys(query, gallery, rows[of], column, screen.cosine)
            if bonus is not None:
                keys -= bonus.of(of, column)
            place_close(of, column, last, keys, matches.offsets, matches.keys, matches.columns, before, tied)

    buffer = np.empty(min(_TILE_ROWS, len(rows)) * min(_TILE_COLUMNS, len(searched)), dtype=np.float32)
    for columns in blocks(searched, _TILE_COLUMNS):
        right = tiles.gallery_block(columns)
        hidden = _hide_own(columns, relevance.gallery_labels[columns], labels)
        for top in range(0, len(rows), _TILE_ROWS):
            scores = tiles.scores(block.doubled[top : top + _TILE_ROWS], right, buffer)

            # each thread has queries of its own, hence matches of its own to count for
            def part(
                start: int, end: int, scores: Float32 = scores, top: int = top, offset: Float32 = right.offset,
                hidden: _Hidden = hidden,
            ) -> None:  # fmt: skip
                count(scores[start:end], top + start, offset, hidden)

            tiles.share(len(scores), part)
        bar.advance(len(rows) * len(columns) / len(searched))
    place = np.arange(len(before)) - np.repeat(matches.offsets[:-1], counts) + 1
    return Ranks(positions=before + place, offsets=matches.offsets, kept=len(searched) - matches.hidden, tied=tied)


def _hide_own(columns: Int64, labels: Int64, query_labels: Int64) -> _Hidden:
    """Where the vectors of each query's own label stand among some columns: they are matches, or left out."""
    order = np.argsort(labels, kind="stable")
    return _Hidden(
        columns=columns,
        order=order,
        starts=np.searchsorted(labels[order], query_labels, "left"),
        ends=np.searchsorted(labels[order], query_labels, "right"),
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

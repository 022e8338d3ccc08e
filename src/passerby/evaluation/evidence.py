"""What the figures show, computed from two sets of embeddings in blocks of queries: never a full distance matrix.

The numbers of a `Report` come from the exact evaluator; the curves here may look at a sample of the queries, which
they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from passerby.evaluation.arrays import check_same_dim
from passerby.evaluation.embed import Embeddings
from passerby.evaluation.protocols import PROTOCOLS
from passerby.evaluation.ranking import Labels, pairwise

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

MAX_QUERIES = 1000
MAX_PAIRS = 50_000_000
_BINS = 4096
_BLOCK_ENTRIES = 1_000_000
_RECALL_LEVELS = 101


@dataclass(frozen=True)
class Evidence:
    """Curves and tables over the queries looked at.

    Attributes:
        rows: the queries looked at (all, or a seeded sample), as rows of the query embeddings.
        recall: [101] levels from 0 to 1.
        precision: [101] interpolated precision (the best at this recall or a higher one), mean over queries.
        edges: [4097] of the histogram's bins.
        same: [4096] numbers of pairs of one person.
        different: [4096] numbers of pairs of two people.
        cameras: the cameras of queries and gallery, ascending; empty where some are unknown.
        pair_rank1: [c, c] rank-1 of queries of one camera (row) searched in the images of another (column) alone;
            NaN where no query has a match there.
        pair_map: [c, c] mean average precision likewise.
    """

    rows: IntArray
    recall: FloatArray
    precision: FloatArray
    edges: FloatArray
    same: IntArray
    different: IntArray
    cameras: tuple[int, ...]
    pair_rank1: FloatArray
    pair_map: FloatArray

    def roc(self) -> tuple[FloatArray, FloatArray]:
        """False-positive and true-positive rate of accepting the pairs nearer than each inner edge of the histogram."""
        false = np.cumsum(self.different) / max(int(self.different.sum()), 1)
        true = np.cumsum(self.same) / max(int(self.same.sum()), 1)
        return false, true

    def histogram(self, bins: int = 64) -> tuple[FloatArray, IntArray, IntArray]:
        """Edges, same and different in about `bins` wider bins over the distances that occur."""
        used = np.flatnonzero(self.same + self.different)
        if len(used) == 0:
            return np.array([0.0, 1.0]), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        width = max(1, -(-(int(used[-1]) - int(used[0]) + 1) // bins))
        first = int(used[0])
        starts = np.arange(first, int(used[-1]) + 1, width)
        edges = self.edges[np.minimum(np.append(starts, starts[-1] + width), _BINS)]
        last = min(int(starts[-1]) + width, _BINS)
        same = np.add.reduceat(self.same[:last], starts)
        return edges, same, np.add.reduceat(self.different[:last], starts)


@dataclass(frozen=True)
class RankedList:
    """The nearest kept gallery images of one query.

    Attributes:
        query: row of the query.
        gallery: [k] rows of the gallery, nearest first, ties by row.
        distances: [k].
        correct: [k] whether it is the query's person.
    """

    query: int
    gallery: IntArray
    distances: FloatArray
    correct: npt.NDArray[np.bool_]


def collect_evidence(
    query: Embeddings,
    gallery: Embeddings,
    *,
    protocol: str = "market1501",
    metric: str = "euclidean",
    junk_pids: Sequence[int] = (-1,),
    max_queries: int | None = None,
    seed: int = 0,
) -> Evidence:
    """Go once over queries x gallery and gather what the figures need.

    Args:
        query: probes.
        gallery: what they are searched in.
        protocol: what counts for a query (see `passerby.evaluation.protocols`).
        metric: "euclidean" or "cosine".
        junk_pids: gallery identities that are ignored.
        max_queries: look at a sample of so many queries where there are more; default: 1000, or fewer where they
            would make more than 50 million pairs (some ten seconds).
        seed: of the sample.

    Raises:
        EmbeddingError: vectors of different lengths.
    """
    check_same_dim(query.vectors, gallery.vectors, "query", "gallery")
    labels = labels_of(query, gallery, protocol, junk_pids)
    rows = np.arange(len(query), dtype=np.int64)
    if max_queries is None:
        max_queries = max(1, min(MAX_QUERIES, MAX_PAIRS // len(gallery)))
    if len(rows) > max_queries:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_queries, replace=False))
    edges = np.linspace(0.0, _largest_distance(query, gallery, metric), _BINS + 1)
    same, everyone = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    precision = np.zeros(_RECALL_LEVELS)
    valid = 0
    cameras, pairs = _camera_pairs(query, gallery)
    block = max(1, _BLOCK_ENTRIES // len(gallery))
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        distances = pairwise(query.vectors[part], gallery.vectors, metric)
        kept = labels.kept(part)
        match = kept & (query.pids[part][:, None] == gallery.pids[None, :])
        bins = np.minimum((distances * (_BINS / edges[-1])).astype(np.int64), _BINS - 1)
        same += np.bincount(bins[match], minlength=_BINS)
        everyone += np.bincount(bins[kept], minlength=_BINS)
        for number, row in enumerate(part):
            columns = np.flatnonzero(kept[number])
            order = columns[np.argsort(distances[number, columns], kind="stable")]
            hits = match[number, order]
            if not hits.any():
                continue
            valid += 1
            at_hits = _precision_at_hits(hits)
            precision += _interpolated(at_hits)
            pairs.add(int(query.camids[row]), gallery.camids[order], hits)
    return Evidence(
        rows=rows,
        recall=np.linspace(0.0, 1.0, _RECALL_LEVELS),
        precision=precision / max(valid, 1),
        edges=edges,
        same=same,
        different=everyone - same,
        cameras=cameras,
        pair_rank1=pairs.mean(pairs.first),
        pair_map=pairs.mean(pairs.precision),
    )


def ranked_lists(
    query: Embeddings,
    gallery: Embeddings,
    rows: Sequence[int],
    *,
    length: int = 10,
    protocol: str = "market1501",
    metric: str = "euclidean",
    junk_pids: Sequence[int] = (-1,),
) -> list[RankedList]:
    """The first `length` kept gallery images of each query of `rows`.

    Raises:
        EmbeddingError: vectors of different lengths.
    """
    check_same_dim(query.vectors, gallery.vectors, "query", "gallery")
    labels = labels_of(query, gallery, protocol, junk_pids)
    lists = []
    for row in rows:
        part = np.array([row], dtype=np.int64)
        distances = pairwise(query.vectors[part], gallery.vectors, metric)[0]
        columns = np.flatnonzero(labels.kept(part)[0])
        order = columns[np.argsort(distances[columns], kind="stable")][:length]
        lists.append(RankedList(int(row), order, distances[order], gallery.pids[order] == query.pids[row]))
    return lists


def labels_of(query: Embeddings, gallery: Embeddings, protocol: str, junk_pids: Sequence[int] = (-1,)) -> Labels:
    """Who is who, and what a protocol leaves out of a query's ranking."""
    counted = ~np.isin(gallery.pids, np.asarray(junk_pids, dtype=np.int64))
    exclude = PROTOCOLS[protocol].exclude
    return Labels(query.pids, gallery.pids, query.camids, gallery.camids, counted, exclude)


class _CameraPairs:
    """Sums over queries for every pair of query camera and gallery camera."""

    def __init__(self, cameras: tuple[int, ...]) -> None:
        self.place = {camera: number for number, camera in enumerate(cameras)}
        shape = (len(cameras), len(cameras))
        self.queries, self.first, self.precision = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def add(self, camera: int, ranked_cameras: IntArray, hits: npt.NDArray[np.bool_]) -> None:
        if camera not in self.place:
            return
        row = self.place[camera]
        for other, column in self.place.items():
            own = hits[ranked_cameras == other]
            if own.any():
                self.queries[row, column] += 1
                self.first[row, column] += own[0]
                self.precision[row, column] += _precision_at_hits(own).mean()

    def mean(self, sums: FloatArray) -> FloatArray:
        return np.where(self.queries > 0, sums / np.maximum(self.queries, 1), np.nan)


def _camera_pairs(query: Embeddings, gallery: Embeddings) -> tuple[tuple[int, ...], _CameraPairs]:
    seen = np.union1d(query.camids, gallery.camids)
    cameras = () if (seen < 0).any() else tuple(int(c) for c in seen)
    return cameras, _CameraPairs(cameras)


def _precision_at_hits(hits: npt.NDArray[np.bool_]) -> FloatArray:
    """Precision i / r_i at the rank of every hit."""
    ranks = np.flatnonzero(hits) + 1
    precision: FloatArray = np.arange(1, len(ranks) + 1) / ranks
    return precision


def _interpolated(at_hits: FloatArray) -> FloatArray:
    """Best precision at each recall level or beyond."""
    best = np.maximum.accumulate(at_hits[::-1])[::-1]
    needed = np.ceil(np.arange(_RECALL_LEVELS) * len(best) / (_RECALL_LEVELS - 1)).astype(np.int64)
    interpolated: FloatArray = best[np.maximum(needed, 1) - 1]
    return interpolated


def _largest_distance(query: Embeddings, gallery: Embeddings, metric: str) -> float:
    if metric == "cosine":
        return 2.0
    bound = sum(float(np.linalg.norm(e.vectors, axis=1).max()) for e in (query, gallery))
    return max(bound, 1e-6)

"""What the figures show, computed from two sets of embeddings in blocks of queries: never a full distance matrix.

The numbers of a `Report` come from the exact evaluator; the curves here may look at a sample of the queries, which
they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float64, Int64
from passerby.config.evaluation import BY_PROTOCOL
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import Groups, group_rows, group_tracklets, pool
from passerby.errors import EmbeddingError
from passerby.evaluation.camera_means import mapped_as
from passerby.evaluation.closed_set.protocols import relevance_by_protocol
from passerby.evaluation.closed_set.result import Report
from passerby.search.arrays import check_same_dim
from passerby.search.distances import pairwise, row_blocks

MAX_QUERIES = 1000
MAX_PAIRS = 50_000_000
_BINS = 4096
_BLOCK_ENTRIES = 1_000_000
_RECALL_LEVELS = 101


@dataclass(frozen=True)
class Evidence:
    """Curves over the queries looked at.

    Attributes:
        rows: the queries looked at (all, or a seeded sample), as rows of the query embeddings.
        queries: how many there are.
        recall: [101] levels from 0 to 1.
        precision: [101] interpolated precision (the best at this recall or a higher one), mean over queries.
        edges: [4097] of the histogram's bins.
        same: [4096] numbers of pairs of one person.
        different: [4096] numbers of pairs of two people.
    """

    rows: Int64
    queries: int
    recall: Float64
    precision: Float64
    edges: Float64
    same: Int64
    different: Int64

    def roc(self) -> tuple[Float64, Float64]:
        """False-positive and true-positive rate of accepting the pairs nearer than each inner edge of the histogram."""
        false = np.cumsum(self.different) / max(int(self.different.sum()), 1)
        true = np.cumsum(self.same) / max(int(self.same.sum()), 1)
        return false, true

    def histogram(self, bins: int = 64) -> tuple[Float64, Int64, Int64]:
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
    gallery: Int64
    distances: Float64
    correct: npt.NDArray[np.bool_]


def collect_evidence(
    query: Embeddings,
    gallery: Embeddings,
    *,
    protocol: str = "market1501",
    metric: str = "euclidean",
    exclude: str = BY_PROTOCOL,
    junk_pids: Sequence[int] = (-1,),
    max_queries: int | None = None,
    seed: int = 0,
) -> Evidence:
    """Go once over queries x gallery and gather what the figures need.

    Args:
        query: probes.
        gallery: what they are searched in.
        protocol: what counts for a query (see `passerby.evaluation.closed_set.protocols`).
        metric: "euclidean" or "cosine".
        exclude: what is left out for a query instead of what the protocol says, as in `passerby.evaluate_embeddings`.
        junk_pids: gallery identities that are ignored.
        max_queries: look at a sample of so many queries where there are more; default: 1000, or fewer where they
            would make more than 50 million pairs (some ten seconds).
        seed: of the sample.

    Raises:
        EmbeddingError: vectors of different lengths.
    """
    check_same_dim(query.vectors, gallery.vectors, "query", "gallery")
    relevance = relevance_by_protocol(query, gallery, protocol, exclude=exclude, junk_pids=junk_pids)
    rows = np.arange(len(query), dtype=np.int64)
    if max_queries is None:
        max_queries = max(1, min(MAX_QUERIES, MAX_PAIRS // len(gallery)))
    if len(rows) > max_queries:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_queries, replace=False))
    edges = np.linspace(0.0, _largest_distance(query, gallery, metric), _BINS + 1)
    same, everyone = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    precision = np.zeros(_RECALL_LEVELS)
    valid = 0
    for block in row_blocks(len(rows), len(gallery), _BLOCK_ENTRIES):
        part = rows[block]
        distances = pairwise(query.vectors[part], gallery.vectors, metric)
        kept = relevance.kept(part)
        match = kept & (query.pids[part][:, None] == gallery.pids[None, :])
        bins = np.minimum((distances * (_BINS / edges[-1])).astype(np.int64), _BINS - 1)
        same += np.bincount(bins[match], minlength=_BINS)
        everyone += np.bincount(bins[kept], minlength=_BINS)
        for number in range(len(part)):
            columns = np.flatnonzero(kept[number])
            order = columns[np.argsort(distances[number, columns], kind="stable")]
            hits = match[number, order]
            if not hits.any():
                continue
            valid += 1
            precision += _interpolated(_precision_at_hits(hits))
    return Evidence(
        rows=rows,
        queries=len(query),
        recall=np.linspace(0.0, 1.0, _RECALL_LEVELS),
        precision=precision / max(valid, 1),
        edges=edges,
        same=same,
        different=everyone - same,
    )


def ranked_lists(
    query: Embeddings,
    gallery: Embeddings,
    rows: Sequence[int],
    *,
    length: int = 10,
    protocol: str = "market1501",
    metric: str = "euclidean",
    exclude: str = BY_PROTOCOL,
    junk_pids: Sequence[int] = (-1,),
) -> list[RankedList]:
    """The first `length` kept gallery images of each query of `rows`.

    Raises:
        EmbeddingError: vectors of different lengths.
    """
    check_same_dim(query.vectors, gallery.vectors, "query", "gallery")
    relevance = relevance_by_protocol(query, gallery, protocol, exclude=exclude, junk_pids=junk_pids)
    lists = []
    for row in rows:
        part = np.array([row], dtype=np.int64)
        distances = pairwise(query.vectors[part], gallery.vectors, metric)[0]
        columns = np.flatnonzero(relevance.kept(part)[0])
        order = columns[np.argsort(distances[columns], kind="stable")][:length]
        lists.append(RankedList(int(row), order, distances[order], gallery.pids[order] == query.pids[row]))
    return lists


def left_out_by(report: Report) -> dict[str, Any]:
    """What a report's settings leave out of rankings: `exclude` and `junk_pids`, where it says so."""
    return {name: report.settings[name] for name in ("exclude", "junk_pids") if name in report.settings}


def as_evaluated(query: Embeddings, gallery: Embeddings, report: Report) -> tuple[Embeddings, Embeddings]:
    """Embeddings with one row for each thing that was ranked.

    Under "multi_query" that is a person's queries of one camera, under "video" a tracklet: their vectors' mean, and
    their first picture. Otherwise the embeddings themselves; without what their cameras add where the report is so.

    Raises:
        EmbeddingError: the report is not of these queries, or by camera statistics of another encoder.
    """
    query, gallery = mapped_as(report.settings, query, gallery)
    if report.protocol == "multi_query":
        query = _pooled(query, group_rows(query.pids, query.camids))
    elif report.protocol == "video":
        query, gallery = _by_tracklet(query, "query"), _by_tracklet(gallery, "gallery")
    own = report.per_query
    fits = len(own) == 0 or (int(own.index.max()) < len(query) and bool((query.pids[own.index] == own.pid).all()))
    if not fits:
        raise EmbeddingError(
            f"the report and the query embeddings do not belong together: {report.queries + report.skipped:,} queries "
            f"of the report, {len(query):,} embeddings, or other people"
        )
    return query, gallery


def _by_tracklet(embeddings: Embeddings, name: str) -> Embeddings:
    if embeddings.tracklets is None:
        return embeddings
    groups = group_tracklets(embeddings.tracklets, embeddings.pids, embeddings.camids, f"{name}_tracklets")
    return _pooled(embeddings, groups)


def _pooled(embeddings: Embeddings, groups: Groups) -> Embeddings:
    return replace(embeddings.select(groups.first), vectors=pool(embeddings.vectors, groups, "mean"))


def _precision_at_hits(hits: npt.NDArray[np.bool_]) -> Float64:
    """Precision i / r_i at the rank of every hit."""
    ranks = np.flatnonzero(hits) + 1
    precision: Float64 = np.arange(1, len(ranks) + 1) / ranks
    return precision


def _interpolated(at_hits: Float64) -> Float64:
    """Best precision at each recall level or beyond."""
    best = np.maximum.accumulate(at_hits[::-1])[::-1]
    needed = np.ceil(np.arange(_RECALL_LEVELS) * len(best) / (_RECALL_LEVELS - 1)).astype(np.int64)
    interpolated: Float64 = best[np.maximum(needed, 1) - 1]
    return interpolated


def _largest_distance(query: Embeddings, gallery: Embeddings, metric: str) -> float:
    if metric == "cosine":
        return 2.0
    bound = sum(float(np.linalg.norm(e.vectors, axis=1).max()) for e in (query, gallery))
    return max(bound, 1e-6)

"""k-reciprocal re-ranking (Zhong, Zheng, Cao, Li, CVPR 2017, arXiv:1701.08398), sparse and in bounded memory.

On queries and gallery together, with D_ij = |x_i - x_j|² / max_j |x_i - x_j|²:

1. R(i): those of i's k1 + 1 nearest (itself included) that have i among their own k1 + 1 nearest.
2. R*(i): R(i) and, for each c in R(i), the same set R½(c) of half as many neighbours if more than two thirds of it
   lie in R(i).
3. V_ij = e^(-D_ij) on R*(i), scaled to sum 1; then the mean of V over i's k2 nearest (itself included).
4. J_ij = 1 - s / (2 - s) with s = Σ_c min(V_ic, V_jc), and the result (1 - λ) J_ij + λ D_ij.

Ties: the vector itself first, then by index. As in the authors' code (the paper writes "at least" two thirds, and
scales neither V nor D).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int32, Int64
from passerby.config.evaluation import RerankSettings
from passerby.config.group_validation import parse_settings
from passerby.search import arrays
from passerby.search.distances import pairwise, rank_rows, row_blocks
from passerby.search.exact_keys import exact_keys
from passerby.search.key_discounts import Bonus
from passerby.search.memory_need import check_memory
from passerby.search.neighbors import BLOCK, PAIRS, neighbors
from passerby.search.ranking import match_ranks
from passerby.search.relevance import Relevance
from passerby.search.relevant_ranks import Ranks
from passerby.search.reranking.sparse_encoding import average_rows, invert, jaccard_rows, reciprocal_sets
from passerby.search.tiles import WORKERS

_ROWS = 2048  # sparse rows that are made at once
_SPARSE_ENTRIES = 2**19  # of sparse rows that are held at once
_ENTRIES = 2**23  # of the result that are made at a time
_COLUMNS = 4096  # gallery vectors whose float64 distances are held at once
_FIXED = 16 * 2**20  # bytes of threads and compiled code
_LARGEST_SET = 3
"""Sets of averaged neighbours have about so many times k1 + 1 entries on re-ID vectors."""
_SMALLEST_LAMBDA = 1e-4  # below, differences of D drown in the rounding of J


def rerank_k_reciprocal(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    overlap: str = "more",
    half: str = "python",
    blend: str = "normalized",
    device: str | None = None,
    progress: bool = False,
) -> Float32:
    """Blend the Jaccard distance of k-reciprocal neighbourhoods with the distance itself.

    The result depends on all queries together (it is transductive). `evaluate_embeddings(..., rerank="k_reciprocal")`
    scores it without ever holding the [q, g] result.

    Args:
        query_vectors: [q, dim]; scale the rows to length 1 if the cosine distance is meant.
        gallery_vectors: [g, dim].
        k1: neighbours that must be mutual (20; 7 on the old CUHK03; Zhong et al.).
        k2: neighbours whose sets are averaged, 1 for none (6; 3 on the old CUHK03).
        lambda_value: weight of the original distance (0.3).
        overlap: join a candidate's set when "more" than two thirds lie in the original one (all published code), or
            "at_least" two thirds (the paper).
        half: neighbours of a candidate's own set: round(k1 / 2) + 1, halves to even ("python"), or
            round((k1 + 1) / 2), halves up ("matlab"). They differ for k1 = 3, 7, 11, ...
        blend: what λ weighs: "normalized" D, or the "raw" Euclidean distance (fast-reid).
        device: where neighbours are searched; None: the CPU.
        progress: show a bar on stderr where there is much to do.

    Returns:
        Distances [q, g], float32, in 0..1 (unless raw).

    Raises:
        EmbeddingError: vectors that are not [n, dim] finite floats of one length.
        ConfigError: a setting out of range.
        EmbeddingError: more memory than there is.
    """
    given = {"k1": k1, "k2": k2, "lambda_value": lambda_value, "overlap": overlap, "half": half, "blend": blend}
    settings = parse_settings(RerankSettings, given, where="k_reciprocal")
    query, gallery = arrays.as_vector_pair(query_vectors, gallery_vectors, "query_vectors", "gallery_vectors")
    _check_memory(len(query), len(gallery), query.shape[1], settings, result=True)
    sets = neighborhoods(np.concatenate([query, gallery]), len(query), settings, device=device, progress=progress)
    result = np.empty((len(query), len(gallery)), dtype=np.float32)
    for rows in row_blocks(len(query), len(gallery), _ENTRIES):
        result[rows] = sets.distances(rows)
    return result


def rank_reranked(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    settings: RerankSettings,
    *,
    metric: str,
    device: str | None = None,
    progress: bool = False,
) -> Ranks:
    """Like `match_ranks`, by re-ranked distances; junk takes no part in anybody's neighbourhood.

    With metric "cosine" the vectors are scaled to length 1 first.
    """
    places = np.flatnonzero(relevance.counted)
    _check_memory(len(query), len(places), query.shape[1], settings, result=False)
    joint = np.empty((len(query) + len(places), query.shape[1]), dtype=np.float32)
    joint[: len(query)] = query
    np.take(gallery, places, axis=0, out=joint[len(query) :])
    if metric == "cosine":
        lengths = np.sqrt(np.einsum("nd,nd->n", joint, joint, dtype=np.float64))
        joint /= np.where(lengths > 0, lengths, 1.0)[:, None].astype(np.float32)
    sets = neighborhoods(joint, len(query), settings, device=device, progress=progress)
    kept = Relevance(
        relevance.query_labels,
        relevance.gallery_labels[places],
        relevance.query_sources,
        relevance.gallery_sources[places],
        relevance.counted[places],
        relevance.exclude,
    )
    if settings.blend == "raw" or settings.lambda_value < _SMALLEST_LAMBDA:
        return rank_rows(sets.distances, kept)
    return match_ranks(
        joint[: len(query)],
        joint[len(query) :],
        kept,
        metric="euclidean",
        bonus_of=sets.bonus,
        device=device,
        progress=progress,
    )


def _check_memory(queries: int, gallery: int, dim: int, settings: RerankSettings, *, result: bool) -> None:
    """The larger of what searching neighbours and encoding them holds, the [q, g] result, and blocks of fixed sizes."""
    n = queries + gallery
    k, near = settings.k1 + 1, max(settings.k1, settings.k2 - 1)
    candidates = n * (2 * near + 32)
    entries = n * min(_LARGEST_SET * k, n)
    lists = 16 * n * near + 4 * n * k
    # sparse rows of sets, and twice those of their means: in parts and joined, or as they are and turned inside out
    encoding = lists + (20 if settings.k2 > 1 else 16) * entries
    searching = lists + 8 * n * k + 8 * candidates + 48 * n
    blocks = 40 * min(PAIRS, candidates) + 12 * max(gallery, _SPARSE_ENTRIES) + 16 * dim * (BLOCK + _COLUMNS)
    if result:
        block = min(queries * gallery, _ENTRIES)
        blocks += 12 * block + 32 * min(block, _ENTRIES // max(gallery, 1) * _COLUMNS) + 4 * queries * gallery
    check_memory(
        4 * n * dim + max(searching, encoding) + blocks + _FIXED,
        f"re-ranking {queries:,} queries among {gallery:,} vectors",
        "re-rank fewer queries at once or a smaller k1"
        + (", or score them without the [q, g] result (evaluate_embeddings(..., rerank=...))" if result else ""),
    )


@dataclass(frozen=True)
class Neighborhoods:
    """Neighbourhood sets of the queries, and of the gallery turned inside out.

    Attributes:
        joint: vectors of queries and gallery, [q + g, dim].
        queries: q.
        settings: of the re-ranking.
        largest: each vector's largest squared distance, [q + g].
        starts: sparse rows V of the queries.
        columns: likewise.
        values: likewise.
        index: inverted index of the gallery's rows of V (starts, rows, values).
    """

    joint: Float32
    queries: int
    settings: RerankSettings
    largest: Float64
    starts: Int64
    columns: Int32
    values: Float32
    index: tuple[Int64, Int32, Float32]

    def jaccard(self, rows: slice | Int64) -> tuple[Int64, Int32, Float64]:
        """Sparse rows (starts, gallery columns, J) of some queries; J is 1 elsewhere."""
        wanted = np.arange(self.queries)[rows]
        starts, columns, values = [np.zeros(1, dtype=np.int64)], [], []
        gallery = len(self.joint) - self.queries
        out_columns = np.empty(max(gallery, _SPARSE_ENTRIES), dtype=np.int32)
        out_values = np.empty(len(out_columns))
        # runs of neighbouring queries, which are all there are but under rules that group queries by camera
        for run in np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            while first < last:
                sizes = np.zeros(last - first, dtype=np.int64)
                upto = jaccard_rows(
                    first, last, self.starts, self.columns, self.values, *self.index, out_columns, out_values, sizes
                )
                size = sizes[: upto - first]
                total = int(size.sum())
                starts.append(starts[-1][-1] + np.cumsum(size))
                columns.append(out_columns[:total].copy())
                values.append(out_values[:total].copy())
                first = upto
        return np.concatenate(starts), np.concatenate(columns), np.concatenate(values)

    def bonus(self, rows: Int64) -> Bonus:
        """What J takes off a squared distance: (1 - λ) J + λ d² / m orders as d² - (1 - J) m (1 - λ) / λ does."""
        starts, columns, values = self.jaccard(rows)
        share = self.settings.lambda_value
        worth = (1.0 - values) * np.repeat(self.largest[rows], np.diff(starts)) * ((1.0 - share) / share)
        return Bonus(starts, columns, worth)

    def distances(self, rows: slice) -> Float32:
        """Re-ranked distances [rows, g]."""
        share = self.settings.lambda_value
        query, gallery = self.joint[: self.queries][rows], self.joint[self.queries :]
        starts, columns, values = self.jaccard(rows)
        row = np.repeat(np.arange(len(query), dtype=np.int32), np.diff(starts))
        order = np.argsort(columns, kind="stable")
        out = np.empty((len(query), len(gallery)), dtype=np.float32)
        for first in range(0, len(gallery), _COLUMNS):
            part = slice(first, first + _COLUMNS)
            plain = pairwise(query, gallery[part], "euclidean")
            if self.settings.blend == "normalized":
                largest = self.largest[: self.queries][rows, None]
                plain = np.divide(plain * plain, largest, out=np.zeros_like(plain), where=largest > 0)
            plain *= share
            here = order[slice(*np.searchsorted(columns, [first, first + _COLUMNS], sorter=order))]
            near = row[here], columns[here] - first
            known = (1.0 - share) * values[here] + plain[near]
            plain += 1.0 - share  # J is 1 where nothing else is known
            plain[near] = known
            out[:, part] = plain
        return out


def neighborhoods(
    joint: Float32, queries: int, settings: RerankSettings, *, device: str | None = None, progress: bool = False
) -> Neighborhoods:
    """Steps 1 to 3 for queries and gallery, one after the other in `joint`."""
    n = len(joint)
    k1, k2 = settings.k1, settings.k2
    near = neighbors(joint, max(k1, k2 - 1), device=device, progress=progress)
    lists = np.concatenate([np.arange(n)[:, None], near.indices], axis=1).astype(np.int32)
    length = min(k1 + 1, n)
    half = round(k1 / 2) + 1 if settings.half == "python" else math.floor((k1 + 1) / 2 + 0.5)
    half = min(half, length)
    at_least = settings.overlap == "at_least"

    def sets(first: int, last: int) -> tuple[Int64, Int32, Float32]:
        out = np.empty((last - first) * length * (half + 1), dtype=np.int32)
        sizes = np.empty(last - first, dtype=np.int64)
        columns = out[: reciprocal_sets(lists, length, half, at_least, first, last, out, sizes)].copy()
        return sizes, columns, _weights(joint, near.farthest, first, sizes, columns)

    starts, columns, values = _sparse(n, sets)
    if k2 > 1:
        few = min(k2, n)
        size = np.diff(starts)

        def averages(first: int, last: int) -> tuple[Int64, Int32, Float32]:
            bound = int(size[lists[first:last, :few]].sum())
            out_columns, out_values = np.empty(bound, dtype=np.int32), np.empty(bound, dtype=np.float32)
            sizes = np.empty(last - first, dtype=np.int64)
            total = average_rows(lists, few, starts, columns, values, first, last, out_columns, out_values, sizes)
            return sizes, out_columns[:total].copy(), out_values[:total].copy()

        starts, columns, values = _sparse(n, averages)
    end = starts[queries]
    return Neighborhoods(
        joint=joint,
        queries=queries,
        settings=settings,
        largest=near.farthest,
        index=invert(starts, columns, values, queries),
        starts=starts[: queries + 1],
        columns=columns[:end],
        values=values[:end],
    )


def _weights(joint: Float32, largest: Float64, first: int, sizes: Int64, columns: Int32) -> Float32:
    """e^(-D) of the sets of rows first.., scaled to sum 1."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    keys = exact_keys(joint, joint, first + row, columns.astype(np.int64), False)
    most = largest[first + row]
    weight = np.exp(-np.divide(keys, most, out=np.zeros_like(keys), where=most > 0))
    return np.asarray(weight / np.bincount(row, weights=weight, minlength=len(sizes))[row], dtype=np.float32)


def _sparse(n: int, make: Callable[[int, int], tuple[Int64, Int32, Float32]]) -> tuple[Int64, Int32, Float32]:
    """Sparse rows 0..n from a function that makes rows first..last."""
    firsts = range(0, n, _ROWS)
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = list(pool.map(lambda first: make(first, min(first + _ROWS, n)), firsts))
    sizes, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return np.concatenate([[0], np.cumsum(sizes)]), columns, values

"""Protocols that pool: several vectors of one person become one before anything is ranked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.embedding.pooling import QUALITIES, Groups, group_rows, group_tracklets, pool
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.scoring import Scoring, report_of_ranks
from passerby.evaluation.closed_set.true_match_ranks import places_of
from passerby.evaluation.inputs import SearchInputs
from passerby.search import arrays
from passerby.search.distances import pairwise, rank_rows
from passerby.search.relevance import Relevance


def unweighted(pooling: str) -> str:
    """How vectors are pooled apart from their weights: the mean, where the pooling names what the weights are."""
    return "mean" if pooling in QUALITIES else pooling


def check_weights(weights: arrays.Vectors | None, n: int, name: str, protocol: str, pooling: str) -> Float64 | None:
    """How much each of n rows counts in what it is pooled into, float64 [n]; None: all alike.

    Raises:
        EmbeddingError: not n finite numbers of 0 or more.
        ConfigError: the protocol or the pooling uses no weights, or the pooling is one by weights that are missing.
    """
    if weights is None:
        if pooling in QUALITIES and (protocol == "video" or (protocol == "multi_query" and name == "query_weights")):
            raise ConfigError(
                f"pooling {pooling!r}: expected {name}, the {pooling} of each image (`passerby.evaluate` and "
                "`passerby evaluate` compute it)"
            )
        return None
    if protocol not in ("video", "multi_query") or unweighted(pooling) not in ("mean", "attention"):
        raise ConfigError(f"{name}: nothing is weighted under the protocol {protocol!r} with the pooling {pooling!r}")
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise EmbeddingError(f"{name}: expected {n:,} numbers, found {type(weights).__name__} without") from None
    if array.shape != (n,) or not np.isfinite(array).all() or (array < 0).any():
        raise EmbeddingError(f"{name}: expected {n:,} finite numbers, 0 or more, found shape {list(array.shape)}")
    return array


def pool_tracklets(
    inputs: SearchInputs,
    query_tracklets: arrays.Labels | None,
    gallery_tracklets: arrays.Labels | None,
    pooling: str,
    weights: tuple[Float64 | None, Float64 | None],
    notes: list[str],
) -> SearchInputs:
    """One vector for each tracklet of queries and gallery; notes say what was pooled.

    Raises:
        EmbeddingError: a tracklet with several people or cameras.
    """
    parts = []
    for name, vectors, pids, camids, tracklets, own in (
        ("query", inputs.query, inputs.query_pids, inputs.query_camids, query_tracklets, weights[0]),
        ("gallery", inputs.gallery, inputs.gallery_pids, inputs.gallery_camids, gallery_tracklets, weights[1]),
    ):
        if tracklets is None:
            notes.append(f"{name}: no tracklets given, each vector stands for a whole one")
            parts.append((vectors, pids, camids))
            continue
        numbers = arrays.as_labels(tracklets, len(vectors), f"{name}_tracklets", f"{name}_vectors")
        groups = group_tracklets(numbers, pids, camids, f"{name}_tracklets")
        notes.append(f"{name}: {len(vectors):,} frames pooled ({pooling}) into {len(groups.first):,} tracklets")
        parts.append((pool(vectors, groups, unweighted(pooling), own), pids[groups.first], camids[groups.first]))
    (query, q_pids, q_cams), (gallery, g_pids, g_cams) = parts
    return SearchInputs(query, gallery, q_pids, g_pids, q_cams, g_cams)


def multi_query(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    scoring: Scoring,
    notes: list[str],
    weights: Float64 | None,
) -> Report:
    """Pool a person's queries of one camera, then rank as usual; "min_distance" takes the nearest of them instead.

    Raises:
        ConfigError: re-ranking with a pooling that gives no single vector.
    """
    pooling = scoring.settings.pooling
    groups = group_rows(relevance.query_labels, relevance.query_sources)
    notes.append(f"{len(query):,} query images pooled ({pooling}) into {len(groups.first):,} person-camera queries")
    pooled = replace(
        relevance,
        query_labels=relevance.query_labels[groups.first],
        query_sources=relevance.query_sources[groups.first],
    )
    if pooling != "min_distance":
        ranks = places_of(pool(query, groups, unweighted(pooling), weights), gallery, pooled, scoring)
    elif scoring.settings.rerank is not None:
        raise ConfigError("rerank needs one vector for each query: pool by 'mean' or 'max' instead of 'min_distance'")
    else:
        ranks = rank_rows(lambda rows: _nearest_of_group(query, gallery, groups, rows, scoring.settings.metric), pooled)
    return report_of_ranks(ranks, pooled, scoring, notes)


def _nearest_of_group(query: Float32, gallery: Float32, groups: Groups, rows: slice, metric: str) -> Float64:
    bounds = np.append(groups.starts, len(groups.order))
    return np.stack(
        [
            pairwise(query[groups.order[bounds[i] : bounds[i + 1]]], gallery, metric).min(axis=0)
            for i in range(rows.start, rows.stop)
        ]
    )

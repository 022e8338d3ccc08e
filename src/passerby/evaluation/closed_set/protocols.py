"""Closed-set protocols: which gallery images count for a query, and how places become a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.embedding.embed import Embeddings
from passerby.embedding.pooling import FRAME_POOLINGS, POOLINGS, Groups, group_rows, group_tracklets, pool
from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.evaluation.closed_set.metrics import AP_DEFINITIONS
from passerby.evaluation.closed_set.result import Report, ScoreWarning
from passerby.evaluation.closed_set.scoring import Settings, average_reports, report_of_law, report_of_ranks
from passerby.evaluation.closed_set.single_gallery_shot import rank_law
from passerby.evaluation.relevance import EXCLUSIONS, relevance_of
from passerby.search import arrays
from passerby.search.products import product_on
from passerby.search.ranking import METRICS, match_ranks, pairwise, rank_rows
from passerby.search.ranks import Ranks
from passerby.search.relevance import Relevance
from passerby.search.reranking.k_reciprocal import rank_reranked, rerank_settings

__all__ = ["PROTOCOLS", "Report", "ScoreWarning", "evaluate_embeddings"]

_SINGLE_SHOT_REPEATS = 10  # the usual number of random splits of VIPeR, GRID and their like


@dataclass(frozen=True)
class ProtocolRules:
    """What one protocol does.

    Attributes:
        exclude: gallery images left out for a query, a name of `passerby.evaluation.relevance.EXCLUSIONS`.
        about: one line for people.
    """

    exclude: str
    about: str


PROTOCOLS: dict[str, ProtocolRules] = {
    "market1501": ProtocolRules(
        "same_id_same_camera",
        "all gallery images but junk and the query person's own camera (Market-1501, DukeMTMC-reID, CUHK03-NP, MSMT17)",
    ),
    "cuhk03": ProtocolRules(
        "same_camera", "classic CUHK03: one image of each identity from other cameras, drawn anew for each query"
    ),
    "single_shot": ProtocolRules(
        "same_id_same_camera",
        "one image of each identity, drawn once for all queries of a repeat (VIPeR, GRID, ...)",
    ),
    "all_shots": ProtocolRules(
        "same_id_same_camera", "each true match is scored as if it were the only one in the gallery (CMC only)"
    ),
    "multi_query": ProtocolRules(
        "same_id_same_camera", "a person's queries of one camera are pooled; then as market1501"
    ),
    "video": ProtocolRules("same_id_same_camera", "the frames of a tracklet are pooled; then as market1501"),
    "no_cameras": ProtocolRules("none", "all gallery images but junk: cameras are unknown or do not matter"),
}


def relevance_by_protocol(
    query: Embeddings, gallery: Embeddings, protocol: str, junk_pids: Sequence[int] = (-1,)
) -> Relevance:
    """Who is who, and what a protocol leaves out of a query's ranking."""
    counted = ~np.isin(gallery.pids, np.asarray(junk_pids, dtype=np.int64))
    exclude = PROTOCOLS[protocol].exclude
    return relevance_of(query.pids, gallery.pids, query.camids, gallery.camids, counted, exclude)


def evaluate_embeddings(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    query_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    query_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    protocol: str = "market1501",
    metric: str = "euclidean",
    ap: str = "step",
    max_rank: int = 50,
    junk_pids: Sequence[int] = (-1,),
    rerank: str | Mapping[str, Any] | None = None,
    device: str | None = None,
    empty: str = "skip",
    exclude: str | None = None,
    repeats: int | None = None,
    seed: int = 0,
    pooling: str = "mean",
    query_tracklets: arrays.Labels | None = None,
    gallery_tracklets: arrays.Labels | None = None,
    query_weights: arrays.Vectors | None = None,
    gallery_weights: arrays.Vectors | None = None,
    progress: bool = True,
) -> Report:
    """Score anyone's embeddings.

    Args:
        query_vectors: [q, dim], numpy or torch.
        gallery_vectors: [g, dim].
        query_pids: [q] person ids, positive.
        gallery_pids: [g] person ids; 0 is a distractor, a different person each time.
        query_camids: [q] cameras, -1 unknown; None where there are none.
        gallery_camids: [g] likewise.
        protocol: a name of `PROTOCOLS`.
        metric: "euclidean" or "cosine".
        ap: "step" or "trapezoid" (see `passerby.evaluation.closed_set.metrics`).
        max_rank: length of the CMC curve.
        junk_pids: gallery images of these ids count for nobody.
        rerank: None, "k_reciprocal", or its settings.
        device: where products are computed: None or "cpu", "cuda", ..., or "auto"; the numbers are the same.
        empty: queries without a true match are left out ("skip") or count with AP 0 ("zero", the official Matlab).
        exclude: gallery images left out for a query: "same_id_same_camera", "same_camera" or "none"; None: the
            protocol's own rule.
        repeats: cuhk03: so many random draws, None for the exact expectation; single_shot: so many draws, None for 10.
        seed: of the draws.
        pooling: multi_query and video: "mean", "max" or "attention" (see `passerby.embedding.pooling.pool`);
            multi_query also "min_distance" (the nearest of the person's queries).
        query_tracklets: video: tracklet of each row, -1 for a row that stands for itself.
        gallery_tracklets: likewise.
        query_weights: multi_query and video, "mean" or "attention": [q], 0 or more: how much each row counts in what
            it is pooled into (its quality); None: all alike.
        gallery_weights: video: likewise, [g].
        progress: show a bar on stderr where there is much to do.

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, or no query with a true match.
        ConfigError: an unknown protocol, metric, AP definition or setting, or settings that exclude each other.
    """
    check_settings(protocol, metric, ap, rerank, device)
    _check_name("way to treat empty queries", empty, ("skip", "zero"))
    _check_name("pooling", pooling, POOLINGS if protocol == "multi_query" else FRAME_POOLINGS)
    _check_name("exclusion", exclude or "none", EXCLUSIONS)
    for name, value in (("max_rank", max_rank), ("repeats", repeats)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}: expected 1 or more, found {value}")
    query = arrays.as_vectors(query_vectors, "query_vectors")
    gallery = arrays.as_vectors(gallery_vectors, "gallery_vectors")
    arrays.check_same_dim(query, gallery, "query_vectors", "gallery_vectors")
    relevance = relevance_of(
        arrays.as_labels(query_pids, len(query), "query_pids", "query_vectors"),
        arrays.as_labels(gallery_pids, len(gallery), "gallery_pids", "gallery_vectors"),
        arrays.as_cameras(query_camids, len(query), "query_camids", "query_vectors"),
        arrays.as_cameras(gallery_camids, len(gallery), "gallery_camids", "gallery_vectors"),
        np.ones(len(gallery), dtype=np.bool_),
        exclude or PROTOCOLS[protocol].exclude,
    )
    _check_query_pids(relevance.query_labels)
    weights = (
        _as_weights(query_weights, len(query), "query_weights", protocol, pooling),
        _as_weights(gallery_weights, len(gallery), "gallery_weights", protocol, pooling),
    )
    notes: list[str] = []
    if protocol == "video":
        query, gallery, relevance = _pool_tracklets(
            query, gallery, relevance, query_tracklets, gallery_tracklets, pooling, weights, notes
        )
    elif query_tracklets is not None or gallery_tracklets is not None:
        raise ConfigError(f"query_tracklets, gallery_tracklets: only the protocol 'video' uses them, not {protocol!r}")
    relevance = replace(relevance, counted=~np.isin(relevance.gallery_labels, list(junk_pids)))
    protocol, relevance = _adapt_to_cameras(protocol, relevance, notes)
    settings = Settings(
        protocol,
        metric,
        ap,
        max_rank,
        None if rerank is None else rerank_settings(rerank),
        empty,
        repeats,
        seed,
        device,
        progress,
    )
    if settings.rerank is not None:
        notes.append("re-ranking is transductive: each result depends on the other queries")
    if not relevance.counted.any():
        raise EmbeddingError("gallery_pids: every gallery image is junk, nothing is left to search")
    if protocol == "cuhk03":
        return _single_gallery_shot(query, gallery, relevance, settings, notes)
    if protocol == "single_shot":
        return _single_shot(query, gallery, relevance, settings, notes)
    if protocol == "multi_query":
        return _multi_query(query, gallery, relevance, settings, notes, pooling, weights[0])
    return report_of_ranks(_ranks(query, gallery, relevance, settings), relevance, settings, notes)


def check_settings(
    protocol: str, metric: str, ap: str, rerank: str | Mapping[str, Any] | None = None, device: str | None = None
) -> None:
    """Raise `ConfigError` for a setting that `evaluate_embeddings` would refuse, before long work begins."""
    _check_name("protocol", protocol, PROTOCOLS)
    _check_name("metric", metric, METRICS)
    _check_name("AP definition", ap, AP_DEFINITIONS)
    if rerank is not None:
        rerank_settings(rerank)
    product_on(device)


def _check_name(kind: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    if name not in known:
        raise ConfigError(unknown_name(kind, str(name), known))


def _as_weights(weights: arrays.Vectors | None, n: int, name: str, protocol: str, pooling: str) -> Float64 | None:
    if weights is None:
        return None
    if protocol not in ("video", "multi_query") or pooling not in ("mean", "attention"):
        raise ConfigError(f"{name}: nothing is weighted under the protocol {protocol!r} with the pooling {pooling!r}")
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (n,) or not np.isfinite(array).all() or (array < 0).any():
        raise EmbeddingError(f"{name}: expected {n:,} finite numbers, 0 or more, found shape {list(array.shape)}")
    return array


def _check_query_pids(pids: Int64) -> None:
    if (pids <= 0).any():
        row = int(np.argmax(pids <= 0))
        raise EmbeddingError(
            f"query_pids: row {row} is {pids[row]}; queries need positive person ids "
            "(0 is a distractor and -1 junk, and both belong to the gallery)"
        )


def _adapt_to_cameras(protocol: str, relevance: Relevance, notes: list[str]) -> tuple[str, Relevance]:
    """Without any camera no rule about cameras can hold; where some are missing, say so."""
    unknown_query, unknown_gallery = relevance.query_sources < 0, relevance.gallery_sources < 0
    if relevance.exclude == "none":
        return protocol, relevance
    if unknown_query.all() or unknown_gallery.all():
        notes.append(f"no cameras are known: nothing is left out for a query's own camera, as {protocol!r} would")
        return "no_cameras" if protocol == "market1501" else protocol, replace(relevance, exclude="none")
    unknown = int(unknown_query.sum() + unknown_gallery.sum())
    if unknown:
        notes.append(f"{unknown:,} images do not name their camera: they are never left out for it")
    return protocol, relevance


def _ranks(query: Float32, gallery: Float32, relevance: Relevance, settings: Settings) -> Ranks:
    """Places of the true matches, after re-ranking if wanted."""
    if settings.rerank is None:
        return match_ranks(
            query, gallery, relevance, metric=settings.metric, device=settings.device, progress=settings.progress
        )
    return rank_reranked(query, gallery, relevance, settings.rerank, metric=settings.metric, progress=settings.progress)


def _pool_tracklets(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    query_tracklets: arrays.Labels | None,
    gallery_tracklets: arrays.Labels | None,
    pooling: str,
    weights: tuple[Float64 | None, Float64 | None],
    notes: list[str],
) -> tuple[Float32, Float32, Relevance]:
    parts = []
    for name, vectors, pids, camids, tracklets, own in (
        ("query", query, relevance.query_labels, relevance.query_sources, query_tracklets, weights[0]),
        ("gallery", gallery, relevance.gallery_labels, relevance.gallery_sources, gallery_tracklets, weights[1]),
    ):
        if tracklets is None:
            notes.append(f"{name}: no tracklets given, each vector stands for a whole one")
            parts.append((vectors, pids, camids))
            continue
        numbers = arrays.as_labels(tracklets, len(vectors), f"{name}_tracklets", f"{name}_vectors")
        groups = group_tracklets(numbers, pids, camids, f"{name}_tracklets")
        notes.append(f"{name}: {len(vectors):,} frames pooled ({pooling}) into {len(groups.first):,} tracklets")
        parts.append((pool(vectors, groups, pooling, own), pids[groups.first], camids[groups.first]))
    (query, q_pids, q_cams), (gallery, g_pids, g_cams) = parts
    counted = np.ones(len(gallery), dtype=np.bool_)
    return query, gallery, Relevance(q_pids, g_pids, q_cams, g_cams, counted, relevance.exclude)


def _multi_query(
    query: Float32,
    gallery: Float32,
    relevance: Relevance,
    settings: Settings,
    notes: list[str],
    pooling: str,
    weights: Float64 | None,
) -> Report:
    groups = group_rows(relevance.query_labels, relevance.query_sources)
    notes.append(f"{len(query):,} query images pooled ({pooling}) into {len(groups.first):,} person-camera queries")
    pooled = replace(
        relevance,
        query_labels=relevance.query_labels[groups.first],
        query_sources=relevance.query_sources[groups.first],
    )
    if pooling != "min_distance":
        ranks = _ranks(pool(query, groups, pooling, weights), gallery, pooled, settings)
    elif settings.rerank is not None:
        raise ConfigError("rerank needs one vector for each query: pool by 'mean' or 'max' instead of 'min_distance'")
    else:
        ranks = rank_rows(lambda rows: _nearest_of_group(query, gallery, groups, rows, settings.metric), pooled)
    return report_of_ranks(ranks, pooled, settings, notes)


def _nearest_of_group(query: Float32, gallery: Float32, groups: Groups, rows: slice, metric: str) -> Float64:
    bounds = np.append(groups.starts, len(groups.order))
    return np.stack(
        [
            pairwise(query[groups.order[bounds[i] : bounds[i + 1]]], gallery, metric).min(axis=0)
            for i in range(rows.start, rows.stop)
        ]
    )


def _single_shot(
    query: Float32, gallery: Float32, relevance: Relevance, settings: Settings, notes: list[str]
) -> Report:
    """One gallery image of each identity; every distractor stays."""
    columns = np.flatnonzero(relevance.counted)
    distractors = columns[relevance.gallery_labels[columns] == 0]
    people = columns[relevance.gallery_labels[columns] != 0]
    order = people[np.argsort(relevance.gallery_labels[people], kind="stable")]
    _, starts, size = np.unique(relevance.gallery_labels[order], return_index=True, return_counts=True)
    repeats = 1 if (size == 1).all() else settings.repeats or _SINGLE_SHOT_REPEATS
    rng = np.random.default_rng(settings.seed)
    reports = []
    for _ in range(repeats):
        counted = np.zeros_like(relevance.counted)
        counted[distractors] = True
        counted[order[starts + rng.integers(0, size)]] = True
        drawn = replace(relevance, counted=counted)
        reports.append(report_of_ranks(_ranks(query, gallery, drawn, settings), drawn, settings, notes))
    junk = int((~relevance.counted).sum())
    if repeats == 1:
        return replace(reports[0], junk=junk)
    return average_reports(reports, settings, junk)


def _single_gallery_shot(
    query: Float32, gallery: Float32, relevance: Relevance, settings: Settings, notes: list[str]
) -> Report:
    if settings.rerank is not None:
        raise ConfigError("rerank: the protocol 'cuhk03' draws a gallery for each query, which re-ranking cannot use")
    laws = rank_law(query, gallery, relevance, metric=settings.metric, repeats=settings.repeats, seed=settings.seed)
    notes.append("mAP and mINP are of the drawn gallery (one match a query), not of all gallery images")
    if settings.repeats is None:
        notes.append("exact expectation over all draws of the gallery")
    reports = [report_of_law(law, relevance, settings, notes) for law in laws]
    junk = int((~relevance.counted).sum())
    return reports[0] if settings.repeats is None else average_reports(reports, settings, junk)

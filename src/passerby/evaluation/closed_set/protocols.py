"""Closed-set protocols: which gallery images count for a query, and how places become a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Int64
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import FRAME_POOLINGS, POOLINGS
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.drawn_galleries import single_gallery_shot, single_shot
from passerby.evaluation.closed_set.metrics import AP_DEFINITIONS
from passerby.evaluation.closed_set.places import places_of
from passerby.evaluation.closed_set.pooled import check_weights, multi_query, pool_tracklets
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.scoring import Settings, report_of_ranks
from passerby.evaluation.inputs import check_inputs, check_name
from passerby.evaluation.relevance import EXCLUSIONS, relevance_of
from passerby.search import arrays
from passerby.search.products import check_device
from passerby.search.relevance import METRICS, Relevance
from passerby.search.reranking.k_reciprocal import rerank_settings


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
    check_name("way to treat empty queries", empty, ("skip", "zero"))
    check_name("pooling", pooling, POOLINGS if protocol == "multi_query" else FRAME_POOLINGS)
    check_name("exclusion", exclude or "none", EXCLUSIONS)
    for name, value in (("max_rank", max_rank), ("repeats", repeats)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}: expected 1 or more, found {value}")
    inputs = check_inputs(query_vectors, gallery_vectors, query_pids, gallery_pids, query_camids, gallery_camids)
    _check_query_pids(inputs.query_pids)
    weights = (
        check_weights(query_weights, len(inputs.query), "query_weights", protocol, pooling),
        check_weights(gallery_weights, len(inputs.gallery), "gallery_weights", protocol, pooling),
    )
    notes: list[str] = []
    if protocol == "video":
        inputs = pool_tracklets(inputs, query_tracklets, gallery_tracklets, pooling, weights, notes)
    elif query_tracklets is not None or gallery_tracklets is not None:
        raise ConfigError(f"query_tracklets, gallery_tracklets: only the protocol 'video' uses them, not {protocol!r}")
    query, gallery = inputs.query, inputs.gallery
    relevance = inputs.relevance(exclude or PROTOCOLS[protocol].exclude, junk_pids)
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
        return single_gallery_shot(query, gallery, relevance, settings, notes)
    if protocol == "single_shot":
        return single_shot(query, gallery, relevance, settings, notes)
    if protocol == "multi_query":
        return multi_query(query, gallery, relevance, settings, notes, pooling, weights[0])
    return report_of_ranks(places_of(query, gallery, relevance, settings), relevance, settings, notes)


def check_settings(
    protocol: str, metric: str, ap: str, rerank: str | Mapping[str, Any] | None = None, device: str | None = None
) -> None:
    """Raise `ConfigError` for a setting that `evaluate_embeddings` would refuse, before long work begins."""
    check_name("protocol", protocol, PROTOCOLS)
    check_name("metric", metric, METRICS)
    check_name("AP definition", ap, AP_DEFINITIONS)
    if rerank is not None:
        rerank_settings(rerank)
    check_device(device)


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

"""Closed-set protocols: which gallery images count for a query, and how places become a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Int64
from passerby.config.evaluation import BY_PROTOCOL, EvaluationSettings, with_changes
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import FRAME_POOLINGS, POOLINGS, QUALITIES
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.camera_means import without_camera_means
from passerby.evaluation.closed_set.drawn_galleries import single_gallery_shot, single_shot
from passerby.evaluation.closed_set.multi_shot import check_weights, multi_query, pool_tracklets
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.scoring import Scoring, report_of_ranks
from passerby.evaluation.closed_set.true_match_ranks import places_of
from passerby.evaluation.inputs import SearchInputs, check_inputs, check_name
from passerby.search import arrays
from passerby.search.products import check_device
from passerby.search.relevance import Relevance


@dataclass(frozen=True)
class ProtocolRules:
    """What one protocol does.

    Attributes:
        exclude: gallery images left out for a query, a name of `passerby.evaluation.good_and_junk.EXCLUSIONS`.
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
    query: Embeddings,
    gallery: Embeddings,
    protocol: str,
    *,
    exclude: str = BY_PROTOCOL,
    junk_pids: Sequence[int] = (-1,),
) -> Relevance:
    """Who is who, and what is left out of a query's ranking.

    Args:
        query: what is searched for.
        gallery: what it is searched in.
        protocol: a name of `PROTOCOLS`.
        exclude: a name of `passerby.evaluation.good_and_junk.EXCLUSIONS`, or "protocol": what the protocol says.
        junk_pids: gallery images of these ids count for nobody.
    """
    inputs = SearchInputs(query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids)
    return inputs.relevance(exclusion(protocol, exclude), junk_pids)


def exclusion(protocol: str, exclude: str = BY_PROTOCOL) -> str:
    """What is left out for a query: `exclude`, or where that is "protocol" what the protocol says."""
    return PROTOCOLS[protocol].exclude if exclude == BY_PROTOCOL else exclude


@takes_keywords(keywords_of(EvaluationSettings))
def evaluate_embeddings(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    query_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    query_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    settings: EvaluationSettings | None = None,
    query_tracklets: arrays.Labels | None = None,
    gallery_tracklets: arrays.Labels | None = None,
    query_weights: arrays.Vectors | None = None,
    gallery_weights: arrays.Vectors | None = None,
    device: str | None = None,
    progress: bool = True,
    **changes: Any,
) -> Report:
    """Score anyone's embeddings.

    Args:
        query_vectors: [q, dim], numpy or torch.
        gallery_vectors: [g, dim].
        query_pids: [q] person ids, positive.
        gallery_pids: [g] person ids; 0 is a distractor, a different person each time.
        query_camids: [q] cameras, -1 unknown; None where there are none.
        gallery_camids: [g] likewise.
        settings: how to evaluate; None: the defaults of `passerby.config.EvaluationSettings`. Without a protocol:
            "market1501".
        query_tracklets: video: tracklet of each row, -1 for a row that stands for itself.
        gallery_tracklets: likewise.
        query_weights: multi_query and video, "mean" or "attention": [q], 0 or more: how much each row counts in what
            it is pooled into (its quality); None: all alike.
        gallery_weights: video: likewise, [g].
        device: where products are computed: None or "cpu", "cuda", ..., or "auto"; the numbers are the same.
        progress: show a bar on stderr where there is much to do.
        **changes: single settings by name, instead of those of `settings`: `protocol="cuhk03"`, `metric="cosine"`,
            `ap="trapezoid"`, `max_rank=20`, `rerank="k_reciprocal"`, ...

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, or no query with a true match
            (unless they count as 0: `empty="zero"`).
        ConfigError: an unknown setting, protocol, metric or AP definition, or settings that exclude each other.
    """
    chosen = with_changes(settings, changes)
    protocol = chosen.protocol or "market1501"
    check_settings(chosen, protocol, device)
    inputs = check_inputs(query_vectors, gallery_vectors, query_pids, gallery_pids, query_camids, gallery_camids)
    _check_query_pids(inputs.query_pids, inputs.gallery_pids)
    weights = (
        check_weights(query_weights, len(inputs.query), "query_weights", protocol, chosen.pooling),
        check_weights(gallery_weights, len(inputs.gallery), "gallery_weights", protocol, chosen.pooling),
    )
    notes: list[str] = []
    inputs = without_camera_means(inputs, chosen, notes)
    if protocol == "video":
        inputs = pool_tracklets(inputs, query_tracklets, gallery_tracklets, chosen.pooling, weights, notes)
    elif query_tracklets is not None or gallery_tracklets is not None:
        raise ConfigError(f"query_tracklets, gallery_tracklets: only the protocol 'video' uses them, not {protocol!r}")
    query, gallery = inputs.query, inputs.gallery
    relevance = inputs.relevance(exclusion(protocol, chosen.exclude), chosen.junk_pids)
    protocol, relevance = _adapt_to_cameras(protocol, relevance, notes)
    if chosen.rerank is not None:
        notes.append("re-ranking is transductive: each result depends on the other queries")
    if not relevance.counted.any():
        raise EmbeddingError("gallery_pids: every gallery image is junk, nothing is left to search")
    scoring = Scoring(protocol, chosen, device, progress)
    if protocol == "cuhk03":
        return single_gallery_shot(query, gallery, relevance, scoring, notes)
    if protocol == "single_shot":
        return single_shot(query, gallery, relevance, scoring, notes)
    if protocol == "multi_query":
        return multi_query(query, gallery, relevance, scoring, notes, weights[0])
    return report_of_ranks(places_of(query, gallery, relevance, scoring), relevance, scoring, notes)


def check_settings(settings: EvaluationSettings, protocol: str, device: str | None = None) -> None:
    """Refuse settings that `evaluate_embeddings` would refuse, before long work begins.

    Args:
        settings: how to evaluate.
        protocol: the settings', or the dataset's own.
        device: where products are computed.

    Raises:
        ConfigError: an unknown protocol, a pooling that the protocol does not have, or no such device here.
    """
    check_name("protocol", protocol, PROTOCOLS)
    if settings.pooling in QUALITIES and protocol not in ("video", "multi_query"):
        raise ConfigError(f"pooling {settings.pooling!r}: the protocol {protocol!r} pools nothing")
    known = POOLINGS if protocol == "multi_query" else (*FRAME_POOLINGS, *QUALITIES)
    check_name(f"pooling under the protocol {protocol!r}", settings.pooling, known)
    check_device(device)


def _check_query_pids(pids: Int64, gallery_pids: Int64) -> None:
    if (pids <= 0).any():
        row = int(np.argmax(pids <= 0))
        exchanged = ""
        if (gallery_pids > 0).all():
            exchanged = (
                f"; the gallery of {len(gallery_pids):,} has none, the {len(pids):,} queries have "
                f"{int((pids <= 0).sum()):,}: are query and gallery exchanged?"
            )
        raise EmbeddingError(
            f"query_pids: row {row} is {pids[row]}; queries need positive person ids "
            f"(0 is a distractor and -1 junk, and both belong to the gallery){exchanged}"
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

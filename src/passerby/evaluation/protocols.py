"""Closed-set protocols: which gallery images count for a query."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.evaluation import arrays
from passerby.evaluation.arrays import Float64, Int64
from passerby.evaluation.metrics import (
    AP_DEFINITIONS,
    Ranks,
    average_precision,
    cumulative_matches,
    inverse_negative_penalty,
)
from passerby.evaluation.ranking import METRICS, Labels, match_ranks, rank_rows
from passerby.evaluation.reranking import rerank_k_reciprocal, rerank_settings
from passerby.evaluation.result import PerQuery, Report

__all__ = ["PROTOCOLS", "Report", "evaluate_embeddings"]

_TIED_SHARE = 0.01


@dataclass(frozen=True)
class ProtocolRules:
    """What one protocol does: `exclude` is what is left out of a query's ranking, `about` one line for people."""

    exclude: str
    about: str


PROTOCOLS: dict[str, ProtocolRules] = {
    "market1501": ProtocolRules(
        "same_id_same_camera",
        "all gallery images but junk and the query person's own camera (Market-1501, DukeMTMC-reID, CUHK03-NP, MSMT17)",
    ),
    "no_cameras": ProtocolRules("none", "all gallery images but junk: cameras are unknown or do not matter"),
}


class ScoreWarning(UserWarning):
    """The numbers are right, but probably not what was meant."""


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
) -> Report:
    """Score anyone's embeddings.

    Args:
        query_vectors: [q, dim], numpy or torch.
        gallery_vectors: [g, dim].
        query_pids: [q] person ids, positive.
        gallery_pids: [g] person ids; 0 is a distractor.
        query_camids: [q] cameras, -1 unknown; None where there are none.
        gallery_camids: [g] likewise.
        protocol: a name of `PROTOCOLS`.
        metric: "euclidean" or "cosine".
        ap: "step" or "trapezoid" (see `passerby.evaluation.metrics`).
        max_rank: length of the CMC curve.
        junk_pids: gallery images of these ids count for nobody.
        rerank: None, "k_reciprocal", or its settings.
        device: where to compute; None: the CPU.
        empty: queries without a true match are left out ("skip") or count with AP 0 ("zero", the official Matlab).

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, or no query with a true match.
        ConfigError: an unknown protocol, metric or AP definition.
    """
    _check_name("protocol", protocol, PROTOCOLS)
    _check_name("metric", metric, METRICS)
    _check_name("AP definition", ap, AP_DEFINITIONS)
    _check_name("way to treat empty queries", empty, ("skip", "zero"))
    if max_rank < 1:
        raise ConfigError(f"max_rank: expected 1 or more, found {max_rank}")
    query = arrays.as_vectors(query_vectors, "query_vectors")
    gallery = arrays.as_vectors(gallery_vectors, "gallery_vectors")
    arrays.check_same_dim(query, gallery, "query_vectors", "gallery_vectors")
    q_pids = arrays.as_labels(query_pids, len(query), "query_pids", "query_vectors")
    g_pids = arrays.as_labels(gallery_pids, len(gallery), "gallery_pids", "gallery_vectors")
    q_cams = arrays.as_cameras(query_camids, len(query), "query_camids", "query_vectors")
    g_cams = arrays.as_cameras(gallery_camids, len(gallery), "gallery_camids", "gallery_vectors")
    _check_query_pids(q_pids)
    counted = ~np.isin(g_pids, list(junk_pids))
    notes: list[str] = []
    exclude = PROTOCOLS[protocol].exclude
    if exclude != "none" and ((q_cams < 0).all() or (g_cams < 0).all()):
        notes.append(f"no cameras are known: evaluated as 'no_cameras', not as {protocol!r}")
        protocol, exclude = "no_cameras", "none"
    labels = Labels(q_pids, g_pids, q_cams, g_cams, counted, exclude)
    if rerank is None:
        ranks = match_ranks(query, gallery, labels, metric=metric)
        return _report(ranks, labels, protocol, metric, ap, max_rank, empty, notes)
    settings = rerank_settings(rerank)
    notes.append("re-ranking is transductive: each result depends on the other queries")
    places = np.flatnonzero(counted)  # junk takes no part in anybody's neighbourhood
    distances = rerank_k_reciprocal(query, gallery[places], **settings)
    kept = replace(labels, gallery_pids=g_pids[places], gallery_camids=g_cams[places], counted=counted[places])
    ranks = rank_rows(lambda rows: distances[rows], kept)
    report = _report(ranks, labels, protocol, metric, ap, max_rank, empty, notes)
    return replace(report, rerank={"method": "k_reciprocal", **settings})


def _check_name(kind: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    if name not in known:
        raise ConfigError(unknown_name(kind, str(name), known))


def _check_query_pids(pids: Int64) -> None:
    if (pids <= 0).any():
        row = int(np.argmax(pids <= 0))
        raise EmbeddingError(
            f"query_pids: row {row} is {pids[row]}; queries need positive person ids "
            "(0 is a distractor and -1 junk, and both belong to the gallery)"
        )


def _report(
    ranks: Ranks, labels: Labels, protocol: str, metric: str, ap: str, max_rank: int, empty: str, notes: list[str]
) -> Report:
    valid = ranks.matches > 0
    if not valid.any():
        raise EmbeddingError(
            f"none of the {len(valid):,} queries has a true match in the gallery under protocol {protocol!r}: "
            "check that person ids agree, and that cameras differ"
        )
    used = np.flatnonzero(valid) if empty == "skip" else np.arange(len(valid))
    precision: Float64 = np.nan_to_num(average_precision(ranks, ap)[used])
    penalty: Float64 = np.nan_to_num(inverse_negative_penalty(ranks)[used])
    first = ranks.first()[used]
    tied = int(ranks.tied.sum())
    if tied > _TIED_SHARE * len(used):
        text = (
            f"{tied:,} of {len(used):,} queries have a wrong image exactly as near as their first true match: "
            "the score depends on the order of the gallery (a collapsed model, or copies of images?)"
        )
        warnings.warn(text, ScoreWarning, stacklevel=3)
        notes.append(text)
    return Report(
        mAP=float(precision.mean()),
        mINP=float(penalty.mean()),
        cmc=cumulative_matches(first, max_rank),
        queries=len(used),
        skipped=int((~valid).sum()),
        protocol=protocol,
        ap_definition=ap,
        metric=metric,
        gallery=int(labels.counted.sum()),
        junk=int((~labels.counted).sum()),
        tied=tied,
        notes=tuple(notes),
        per_query=PerQuery(
            index=used,
            pid=labels.query_pids[used],
            camid=labels.query_camids[used],
            ap=precision,
            inp=penalty,
            first_rank=first,
            matches=ranks.matches[used],
            kept=ranks.kept[used],
        ),
    )

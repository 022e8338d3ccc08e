"""An encoder and a dataset in, a report out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from passerby.data.records import ReIDDataset
from passerby.embedding.embed import Embedder, embed
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.quality import QUALITIES, frame_quality
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.protocols import check_settings, evaluate_embeddings
from passerby.evaluation.closed_set.result import Report


def evaluate(
    encoder: Embedder,
    data: ReIDDataset,
    *,
    protocol: str | None = None,
    metric: str = "euclidean",
    ap: str = "step",
    max_rank: int = 50,
    rerank: str | Mapping[str, Any] | None = None,
    pooling: str = "mean",
    batch_size: int = 128,
    flip: bool = True,
    device: str | None = None,
    progress: bool = True,
) -> Report:
    """Embed a dataset's queries and gallery, and score them.

    Args:
        encoder: a `passerby.Encoder`.
        data: its `query` and `gallery` are used.
        protocol: by name; None: the dataset's own.
        metric: "euclidean" or "cosine".
        ap: "step" or "trapezoid".
        max_rank: length of the CMC curve.
        rerank: None, "k_reciprocal", or its settings.
        pooling: protocols video and multi_query: how the frames of a tracklet (the queries of a person) become one
            vector: "mean", "max", "attention", "sharpness" or "norm" (means weighted by the quality of the frames, see
            `passerby.embedding.quality`); multi_query also "min_distance".
        batch_size: images a forward pass.
        flip: average the vectors of an image and of its mirror image.
        device: where to rank (the numbers are the same); None: the CPU.
        progress: show bars on stderr.

    Raises:
        EmbeddingError: the dataset has no query or no gallery.
        ConfigError: an unknown protocol, metric or AP definition.
    """
    for name in ("query", "gallery"):
        if not getattr(data, name):
            raise EmbeddingError(f"{data.name}: expected images in its {name}, found none; nothing can be evaluated")
    rules = protocol or data.protocol
    check_settings(rules, metric, ap, rerank, device)
    if pooling in QUALITIES and rules not in ("video", "multi_query"):
        raise ConfigError(f"pooling {pooling!r}: the protocol {rules!r} pools nothing")
    query = embed(encoder, data.query, batch_size=batch_size, flip=flip, progress=progress)
    gallery = embed(encoder, data.gallery, batch_size=batch_size, flip=flip, progress=progress)
    weights: dict[str, Any] = {}
    if pooling in QUALITIES:
        weights["query_weights"] = frame_quality(encoder, data.query, pooling, batch_size=batch_size, progress=progress)
    if pooling in QUALITIES and rules == "video":
        weights["gallery_weights"] = frame_quality(
            encoder, data.gallery, pooling, batch_size=batch_size, progress=progress
        )
    report = score(
        query,
        gallery,
        protocol=rules,
        metric=metric,
        ap=ap,
        max_rank=max_rank,
        rerank=rerank,
        device=device,
        pooling="mean" if pooling in QUALITIES else pooling,
        **weights,
        progress=progress,
    )
    quality = (f"frames weighted by their {pooling}",) if weights else ()
    return replace(report, notes=(*data.notes, *report.notes, *quality))


def score(query: Embeddings, gallery: Embeddings, *, protocol: str | None = None, **settings: Any) -> Report:
    """Score embeddings that are there already: `evaluate_embeddings` on their columns.

    Args:
        query: what is searched for.
        gallery: what it is searched in.
        protocol: by name; None: Market-1501's rules where every camera is known, else "no_cameras".
        **settings: the other keyword arguments of `evaluate_embeddings`.

    Raises:
        EmbeddingError: vectors of different encoders or dimensions, and as `evaluate_embeddings`.
    """
    check_same_encoder(query, gallery)
    rules = protocol or rules_for(query, gallery)
    tracklets = (query.tracklets, gallery.tracklets) if rules == "video" else (None, None)
    return evaluate_embeddings(
        query.vectors,
        gallery.vectors,
        query.pids,
        gallery.pids,
        query.camids,
        gallery.camids,
        protocol=rules,
        query_tracklets=tracklets[0],
        gallery_tracklets=tracklets[1],
        **settings,
    )


def rules_for(query: Embeddings, gallery: Embeddings) -> str:
    """The protocol for embeddings that name none: "market1501" where every camera is known, else "no_cameras"."""
    known = bool((query.camids >= 0).all() and (gallery.camids >= 0).all())
    return "market1501" if known else "no_cameras"


def check_same_encoder(query: Embeddings, gallery: Embeddings) -> None:
    """Refuse to compare vectors of different encoders.

    Raises:
        EmbeddingError: their fingerprints differ.
    """
    if query.fingerprint and gallery.fingerprint and query.fingerprint != gallery.fingerprint:
        raise EmbeddingError(
            f"the queries are vectors of encoder {query.fingerprint[:12]} and the gallery's of "
            f"{gallery.fingerprint[:12]}; vectors of different encoders cannot be compared. Embed both with one"
        )

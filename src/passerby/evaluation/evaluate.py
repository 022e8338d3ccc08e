"""An encoder and a dataset in, a report out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from passerby.data.records import ReIDDataset
from passerby.errors import EmbeddingError
from passerby.evaluation.embed import Embedder, embed
from passerby.evaluation.protocols import Report, check_settings, evaluate_embeddings


def evaluate(
    encoder: Embedder,
    data: ReIDDataset,
    *,
    protocol: str | None = None,
    metric: str = "euclidean",
    ap: str = "step",
    max_rank: int = 50,
    rerank: str | Mapping[str, Any] | None = None,
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
    query = embed(encoder, data.query, batch_size=batch_size, flip=flip, progress=progress)
    gallery = embed(encoder, data.gallery, batch_size=batch_size, flip=flip, progress=progress)
    report = evaluate_embeddings(
        query.vectors,
        gallery.vectors,
        query.pids,
        gallery.pids,
        query.camids,
        gallery.camids,
        protocol=rules,
        metric=metric,
        ap=ap,
        max_rank=max_rank,
        rerank=rerank,
        device=device,
        query_tracklets=query.tracklets if rules == "video" else None,
        gallery_tracklets=gallery.tracklets if rules == "video" else None,
        progress=progress,
    )
    return replace(report, notes=(*data.notes, *report.notes))

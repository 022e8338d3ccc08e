"""An encoder and a dataset in, a report out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from passerby.config.evaluation import EvaluationSettings, with_changes
from passerby.config.keywords import keywords_of, keywords_of_function, takes_keywords
from passerby.data.records import ReIDDataset
from passerby.data.test_split import NO_SPLIT
from passerby.embedding.embed import Embedder, embed
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import QUALITIES
from passerby.embedding.quality import frame_quality
from passerby.errors import EmbeddingError
from passerby.evaluation.camera_means import check_camera_statistics
from passerby.evaluation.closed_set.protocols import check_settings, evaluate_embeddings
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.engine_of_settings import facts_of, run_as
from passerby.evaluation.precision_cost import precision_cost

_SAME_LENGTH = 1e-3
"""Share by which lengths may differ and still be one."""


@takes_keywords(keywords_of(EvaluationSettings))
def evaluate(
    encoder: Embedder,
    data: ReIDDataset,
    *,
    settings: EvaluationSettings | None = None,
    device: str | None = None,
    progress: bool = True,
    **changes: Any,
) -> Report:
    """Embed a dataset's queries and gallery, and score them.

    Args:
        encoder: a `passerby.Encoder`; it runs on the engine, with the threads and in the precision of the settings.
        data: its `query` and `gallery` are used.
        settings: how to evaluate; None: the defaults of `passerby.config.EvaluationSettings`. Without a protocol: the
            dataset's own.
        device: where to rank (the numbers are the same); None: the CPU.
        progress: show bars on stderr.
        **changes: single settings by name, instead of those of `settings`: `protocol="cuhk03"`, `flip=False`,
            `rerank="k_reciprocal"`, `pooling="sharpness"`, ...

    Raises:
        EmbeddingError: the dataset has no query or no gallery, or camera statistics of another encoder.
        ConfigError: an unknown setting, protocol, metric or AP definition; an engine or precision that this machine or
            this encoder has not.
        WeightsError, MissingExtraError: the engine cannot run the encoder, or is not installed.
    """
    check_test_people(data)
    chosen = with_changes(settings, changes)
    check_settings(chosen, chosen.protocol or data.protocol, device)
    check_camera_statistics(chosen.camera_statistics, encoder.fingerprint)
    running, query, gallery = embed_test(encoder, data, chosen, progress=progress)
    return score_dataset(running, data, query, gallery, chosen, device=device, progress=progress)


def check_test_people(data: ReIDDataset) -> None:
    """Refuse data without anybody to test on.

    Raises:
        EmbeddingError: the dataset has no query or no gallery.
    """
    for name in ("query", "gallery"):
        if getattr(data, name):
            continue
        message = f"{data.name}: expected images in its {name}, found none; nothing can be evaluated"
        undivided = next((note for note in data.notes if note.startswith(NO_SPLIT)), None)
        if undivided is not None:
            message += (
                f" ({undivided}). Name people whom the encoder did not learn from (--data.name, with --data.arguments "
                "test_share=1 if they have no split either), or train again with --data.arguments test_share=0.5, "
                "which keeps half of the people for the test"
            )
        raise EmbeddingError(message)


def embed_test(
    encoder: Embedder, data: ReIDDataset, settings: EvaluationSettings, *, progress: bool = True
) -> tuple[Embedder, Embeddings, Embeddings]:
    """Embed a dataset's queries and gallery as the settings say.

    Returns:
        The encoder on the engine that ran, the queries, and the gallery; their notes say what less than float32 does.
    """
    running = run_as(encoder, settings, data)
    query, gallery = (
        embed(
            running,
            part,
            batch_size=settings.batch_size,
            flip=settings.flip,
            progress=progress,
            measure_precision=False,
        )
        for part in (data.query, data.gallery)
    )
    cost = precision_cost(running, data, query, gallery, settings)
    return running, query, replace(gallery, notes=(*gallery.notes, cost)) if cost else gallery


def score_dataset(
    encoder: Embedder,
    data: ReIDDataset,
    query: Embeddings,
    gallery: Embeddings,
    settings: EvaluationSettings,
    *,
    device: str | None = None,
    progress: bool = True,
) -> Report:
    """Score the embeddings of a dataset, which `encoder` made by the same settings.

    Arguments and errors as of `evaluate`.
    """
    protocol = settings.protocol or data.protocol
    weights = {}
    if settings.pooling in QUALITIES:
        parts = {"query_weights": data.query} | ({"gallery_weights": data.gallery} if protocol == "video" else {})
        for name, samples in parts.items():
            weights[name] = frame_quality(
                encoder, samples, settings.pooling, batch_size=settings.batch_size, progress=progress
            )
    report = score(query, gallery, settings=settings, protocol=protocol, device=device, progress=progress, **weights)
    quality = (f"frames weighted by their {settings.pooling}",) if weights else ()
    return replace(
        report,
        settings={**report.settings, "flip": settings.flip, "batch_size": settings.batch_size, **facts_of(encoder)},
        notes=(*data.notes, *report.notes, *quality, *gallery.notes),
    )


@takes_keywords(keywords_of_function(evaluate_embeddings))
def score(
    query: Embeddings, gallery: Embeddings, *, settings: EvaluationSettings | None = None, **arguments: Any
) -> Report:
    """Score embeddings that are there already: `evaluate_embeddings` on their columns.

    Args:
        query: what is searched for.
        gallery: what it is searched in.
        settings: how to evaluate; without a protocol Market-1501's rules where every camera is known, else
            "no_cameras".
        **arguments: the other keyword arguments of `evaluate_embeddings`, single settings among them.

    Raises:
        EmbeddingError: vectors or camera statistics of different encoders, and as `evaluate_embeddings`.
    """
    check_same_encoder(query, gallery)
    of_settings = settings.camera_statistics if settings is not None else None
    check_camera_statistics(arguments.get("camera_statistics", of_settings), query.fingerprint)
    named = arguments.pop("protocol", None) or (settings.protocol if settings is not None else None)
    protocol = named or rules_for(query, gallery)
    tracklets = (query.tracklets, gallery.tracklets) if protocol == "video" else (None, None)
    return evaluate_embeddings(
        query.vectors,
        gallery.vectors,
        query.pids,
        gallery.pids,
        query.camids,
        gallery.camids,
        settings=settings,
        protocol=protocol,
        query_tracklets=tracklets[0],
        gallery_tracklets=tracklets[1],
        **arguments,
    )


def rules_for(query: Embeddings, gallery: Embeddings) -> str:
    """The protocol for embeddings that name none: "market1501" where every camera is known, else "no_cameras"."""
    known = bool((query.camids >= 0).all() and (gallery.camids >= 0).all())
    return "market1501" if known else "no_cameras"


def remarks_on(query: Embeddings, gallery: Embeddings, report: Report) -> tuple[str, ...]:
    """What the columns of anyone's vectors do to their score, where somebody may have meant another one.

    Args:
        query: what was searched for.
        gallery: what it was searched in.
        report: their score.
    """
    remarks = []
    nameless = int((query.camids < 0).sum() + (gallery.camids < 0).sum())
    if report.protocol == "no_cameras" and nameless:
        remarks.append(
            f"{nameless:,} of {len(query) + len(gallery):,} rows name no camera (camid), so that pictures of one "
            "moment are hits too: not the figure of a benchmark with cameras"
        )
    lengths = np.linalg.norm(np.concatenate([query.vectors, gallery.vectors]), axis=1)
    shortest, longest = float(lengths.min()), float(lengths.max())
    if report.metric == "euclidean" and longest - shortest > _SAME_LENGTH * longest:
        remarks.append(
            f"the vectors have lengths from {shortest:.4g} to {longest:.4g}, which count in Euclidean distances: the "
            "metric cosine (--metric cosine) compares directions alone"
        )
    return tuple(remarks)


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

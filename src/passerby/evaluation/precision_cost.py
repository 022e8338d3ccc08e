"""What less than float32 does to the scores of a dataset."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Int64
from passerby.config.evaluation import EvaluationSettings
from passerby.data.records import ReIDDataset, Sample
from passerby.embedding.embed import Embedder, embed
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.closed_set.result import Report
from passerby.models.encoder import Encoder

IMAGES = 2000
"""Images that are encoded once more, in float32, at most (people are taken whole)."""
_LEAST_PEOPLE = 10


def precision_cost(
    encoder: Embedder, data: ReIDDataset, query: Embeddings, gallery: Embeddings, settings: EvaluationSettings
) -> str:
    """A line that compares mAP and rank-1 with those in float32, on all images or on some people; "" for float32.

    Args:
        encoder: that made the vectors.
        data: its query and gallery.
        query: their vectors.
        gallery: their vectors.
        settings: how they are scored, here without re-ranking and camera statistics, and by means of tracklets.
    """
    if not isinstance(encoder, Encoder) or encoder.exact is None:
        return ""
    rows = _some_people(data)
    rules = settings.model_copy(
        update={"rerank": None, "camera_statistics": None, "camera_minimum": None, "pooling": "mean"}
    )
    protocol = settings.protocol or data.protocol
    lower = _score(query.select(rows[0]), gallery.select(rows[1]), settings=rules, protocol=protocol)
    parts = [[part[row] for row in chosen] for part, chosen in zip((data.query, data.gallery), rows, strict=True)]
    exact = _score(*(_exact(encoder.exact, part, settings) for part in parts), settings=rules, protocol=protocol)
    images, total = sum(map(len, rows)), len(data.query) + len(data.gallery)
    where = f"all {total:,} images" if images == total else f"{images:,} of the {total:,} images, people taken whole"
    return (
        f"{encoder.precision} against float32 on {where} ({lower.queries:,} queries): mAP {lower.mAP:.4f} against "
        f"{exact.mAP:.4f}, rank-1 {lower.rank(1):.4f} against {exact.rank(1):.4f}"
    )


def _exact(encoder: Encoder, samples: list[Sample], settings: EvaluationSettings) -> Embeddings:
    return embed(encoder, samples, batch_size=settings.batch_size, flip=settings.flip, progress=False)


def _score(query: Embeddings, gallery: Embeddings, *, settings: EvaluationSettings, protocol: str) -> Report:
    tracklets = (query.tracklets, gallery.tracklets) if protocol == "video" else (None, None)
    return evaluate_embeddings(
        query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids,
        settings=settings, protocol=protocol, query_tracklets=tracklets[0], gallery_tracklets=tracklets[1],
        progress=False,
    )  # fmt: skip


def _some_people(data: ReIDDataset) -> tuple[Int64, Int64]:
    """Rows of query and gallery: all, or those of people spread evenly over the ids."""
    parts = [np.array([sample.pid for sample in samples], np.int64) for samples in (data.query, data.gallery)]
    if sum(map(len, parts)) <= IMAGES:
        return np.arange(len(parts[0])), np.arange(len(parts[1]))
    people, counts = np.unique(np.concatenate(parts), return_counts=True)
    asked = np.isin(people, parts[0])
    people, counts = people[asked], counts[asked]
    order = np.random.default_rng(0).permutation(len(people))
    fits = np.cumsum(counts[order]) <= IMAGES
    chosen = people[order[: max(int(fits.sum()), _LEAST_PEOPLE)]]
    query, gallery = (np.flatnonzero(np.isin(part, chosen)) for part in parts)
    return query, gallery

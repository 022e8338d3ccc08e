"""Evaluation of vectors from which each camera's mean is subtracted (`passerby.embedding.camera_statistics`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from passerby.config.evaluation import OF_THE_TEST, EvaluationSettings
from passerby.embedding.camera_statistics import MINIMUM, CameraStatistics, measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError
from passerby.evaluation.inputs import SearchInputs

TRANSDUCTIVE = "measured on the test images, people counted by their labels: transductive, each result depends on all"


def check_camera_statistics(source: str | None, fingerprint: str) -> None:
    """Refuse statistics that cannot be used, before long work begins.

    Args:
        source: the setting `camera_statistics`.
        fingerprint: of the encoder, "" unknown.

    Raises:
        EmbeddingError: a file that cannot be read, or statistics of another encoder.
    """
    if source is not None and source != OF_THE_TEST:
        CameraStatistics.from_parquet(source).check_encoder(fingerprint)


def without_camera_means(inputs: SearchInputs, settings: EvaluationSettings, notes: list[str]) -> SearchInputs:
    """Inputs as they are ranked; a note says what was subtracted.

    Raises:
        EmbeddingError: a file that cannot be read or knows none of the cameras, vectors of another length, or no vector
            with a camera and a person.
    """
    if settings.camera_statistics is None:
        return inputs
    query = Embeddings(inputs.query, inputs.query_pids, inputs.query_camids)
    gallery = Embeddings(inputs.gallery, inputs.gallery_pids, inputs.gallery_camids)
    statistics = _statistics(query, gallery, settings.camera_statistics, settings.camera_minimum)
    measured = TRANSDUCTIVE if settings.camera_statistics == OF_THE_TEST else f"from {settings.camera_statistics}"
    notes.append(f"{statistics}; {measured}")
    if not statistics.active:
        return inputs
    unknown = statistics.unknown(inputs.query_camids), statistics.unknown(inputs.gallery_camids)
    if sum(unknown) == len(inputs.query) + len(inputs.gallery):
        raise EmbeddingError(
            f"camera statistics: expected some of the cameras {', '.join(statistics.cameras[:8])}, found others only; "
            "the statistics are of another place, or name its cameras otherwise"
        )
    if sum(unknown):
        notes.append(
            f"{sum(unknown):,} images of cameras that the statistics do not know: the mean of all is subtracted"
        )
    return replace(
        inputs,
        query=statistics.apply(inputs.query, inputs.query_camids),
        gallery=statistics.apply(inputs.gallery, inputs.gallery_camids),
    )


def mapped_as(settings: Mapping[str, Any], query: Embeddings, gallery: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Embeddings as they were ranked under a report's settings, for lists and figures.

    Args:
        settings: `Report.settings`, or a dump of `EvaluationSettings`.
        query: raw vectors.
        gallery: likewise.

    Raises:
        EmbeddingError: as `without_camera_means`; or statistics of another encoder.
    """
    source = settings.get("camera_statistics")
    if source is None:
        return query, gallery
    statistics = _statistics(query, gallery, source, settings.get("camera_minimum"))
    return statistics.map(query), statistics.map(gallery)


def _statistics(query: Embeddings, gallery: Embeddings, source: str, minimum: int | None) -> CameraStatistics:
    if source != OF_THE_TEST:
        return CameraStatistics.from_parquet(source)
    joint = Embeddings(
        np.concatenate([query.vectors, gallery.vectors]),
        np.concatenate([query.pids, gallery.pids]),
        np.concatenate([query.camids, gallery.camids]),
        fingerprint=query.fingerprint,
    )
    groups = np.where(joint.pids > 0, joint.pids, -1)
    return measure_camera_statistics(joint, groups=groups, minimum=MINIMUM if minimum is None else minimum)

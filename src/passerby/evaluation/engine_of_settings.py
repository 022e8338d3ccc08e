"""What runs an encoder in an evaluation: engine, threads and precision as the settings say."""

from __future__ import annotations

import os
from typing import Any

from passerby.config.evaluation import EvaluationSettings
from passerby.data.records import ReIDDataset
from passerby.embedding.embed import Embedder
from passerby.errors import ConfigError
from passerby.models.described_encoder import described_encoder
from passerby.models.encoder import EXPORTED, Encoder, load_encoder
from passerby.models.engines.choice import AUTO, on_engine, pick_encoder
from passerby.models.engines.precision import CROPS, evenly, lower_precision

_ON_TORCH = "norm"
"""Pooling that reads the network's own lengths, which a graph does not give."""


def load_for(source: str | os.PathLike[str], settings: EvaluationSettings, *, images: int) -> Encoder:
    """An encoder from its files, on the engine of the settings where that can be loaded at once.

    Args:
        source: whatever `load_encoder` takes.
        settings: how it will be evaluated.
        images: how many will be encoded.

    Raises:
        WeightsError, ConfigError, MissingExtraError: as of `pick_encoder`.
    """
    described = described_encoder(source)
    made = EXPORTED.get(settings.engine)  # by `passerby export`, or else by `run_as`
    to_be_made = made is not None and described is not None and not (described.folder / made).is_file()
    if settings.precision != "float32" or to_be_made:
        return load_encoder(source, None if described is None else "torch", threads=settings.threads)
    return pick_encoder(source, _engine(settings), images=images, threads=settings.threads)[0]


def run_as(encoder: Embedder, settings: EvaluationSettings, data: ReIDDataset) -> Embedder:
    """The same encoder as the settings say; int8 is fitted to training images where there are, else to the gallery's.

    Raises:
        ConfigError: an engine, threads or a precision for an encoder that is not passerby's own; or as of `on_engine`.
        WeightsError, MissingExtraError, StorageError: as of `on_engine` and `lower_precision`.
    """
    if not isinstance(encoder, Encoder):
        for name in ("engine", "threads", "precision"):
            if getattr(settings, name) != EvaluationSettings.model_fields[name].default:
                raise ConfigError(
                    f"{name}: expected a passerby.Encoder, which can run otherwise, found {type(encoder).__name__}; "
                    f"leave {name} out"
                )
        return encoder
    if settings.precision != "float32":
        crops = evenly([sample.path for sample in data.train or data.gallery], CROPS)
        return lower_precision(
            encoder, settings.precision, images=crops, engine=settings.engine, threads=settings.threads
        )
    images = len(data.query) + len(data.gallery)
    return on_engine(encoder, _engine(settings), images=images, threads=settings.threads)


def facts_of(encoder: object) -> dict[str, Any]:
    """Engine, threads (None: the engine's own number) and precision of passerby's own encoders, for a report."""
    if not isinstance(encoder, Encoder):
        return {}
    engine = encoder.engine
    return {"engine": engine.name, "threads": engine.threads or None, "precision": encoder.precision}


def _engine(settings: EvaluationSettings) -> str:
    return "torch" if settings.engine == AUTO and settings.pooling == _ON_TORCH else settings.engine

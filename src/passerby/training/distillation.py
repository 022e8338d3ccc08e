"""Vectors of a stronger encoder for the training images, read once from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.data.records import Sample
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError


def read_teacher(path: Path, samples: Sequence[Sample]) -> Tensor:
    """The teacher's unit vectors, float32 [n, D'], row by row those of `samples`.

    Files are known by folder and name, so the dataset may have moved since the vectors were made.

    Args:
        path: a Parquet file of `passerby embed TEACHER --parts train`.
        samples: the training images.

    Raises:
        ConfigError: a training image that the file has no vector for, or more than one.
        EmbeddingError: not such a file.
    """
    vectors = Embeddings.from_parquet(path)
    rows: dict[tuple[str, ...], int] = {}
    for row, name in enumerate(vectors.paths):
        if rows.setdefault(_key(name), row) != row:
            raise ConfigError(f"distillation.vectors: {path} has two vectors of an image called {name}")
    missing = [sample.path for sample in samples if _key(sample.path) not in rows]
    if missing:
        raise ConfigError(
            f"distillation.vectors: {path} has no vector of {len(missing):,} of {len(samples):,} training images, for "
            f"example {missing[0]}; make it with `passerby embed TEACHER --parts train` on the same dataset"
        )
    chosen = vectors.vectors[[rows[_key(sample.path)] for sample in samples]]
    return F.normalize(torch.from_numpy(chosen))


def _key(path: str | PurePath) -> tuple[str, ...]:
    return PurePath(path).parts[-2:]

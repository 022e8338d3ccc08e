"""Vectors of a stronger encoder for the training images, read once from a file or a folder of views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.config import AugmentConfig
from passerby.data.records import Sample
from passerby.data.views import Views, key_of
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.views import is_view, read_vectors_of_views, read_views
from passerby.errors import ConfigError


@dataclass(frozen=True)
class Teacher:
    """A stronger encoder's vectors of n training images.

    Attributes:
        vectors: unit vectors, float32 [V, n, D'], of V views of each image, or of the images as they are (V = 1).
        views: the views, which the student has to see as well; None: vectors of the images as they are.
    """

    vectors: Tensor
    views: Views | None = None

    @property
    def dim(self) -> int:
        """Length D' of a vector."""
        return self.vectors.shape[2]

    def of(self, epoch: int, indices: Tensor) -> Tensor:
        """Vectors [B, D'] of images [B], as an epoch shows them."""
        vectors: Tensor = self.vectors[epoch % len(self.vectors)]
        return vectors[indices.to(vectors.device, non_blocking=True)]


def read_teacher(
    path: Path, samples: Sequence[Sample], augment: AugmentConfig, device: torch.device | str = "cpu"
) -> Teacher:
    """The teacher's vectors, row by row those of `samples`.

    Files are known by folder and name, so the dataset may have moved since the vectors were made.

    Args:
        path: a Parquet file of `passerby embed TEACHER --parts train`, or the folder that it makes with `--views N`.
        samples: the training images.
        augment: how the student sees them.
        device: where the vectors are wanted.

    Raises:
        ConfigError: a training image without a vector, or with more than one; views drawn by other settings than
            `augment`; a single view's file.
        EmbeddingError: not such a file or folder.
    """
    if is_view(path):
        raise ConfigError(
            f"distillation.vectors: {path} is one view of the images; name the folder, {path.parent}, for the training "
            "to show what the teacher saw"
        )
    if not path.is_dir():
        return Teacher(_rows_of(samples, Embeddings.from_parquet(path), path)[None].to(device))
    views = read_views(path)
    check_views(views, augment, path)
    vectors = [_rows_of(samples, of_view, path) for of_view in read_vectors_of_views(path)]
    return Teacher(torch.stack(vectors).to(device), views)


def check_views(views: Views, augment: AugmentConfig, path: Path) -> None:
    """Refuse views that were drawn by other settings than the student's.

    Raises:
        ConfigError: which settings differ.
    """
    theirs, own = views.augment.model_dump(), augment.model_dump()
    other = [f"augment.{name} {theirs[name]} (here {own[name]})" for name in own if theirs[name] != own[name]]
    if other:
        raise ConfigError(
            f"distillation.vectors: {path} has views drawn with {', '.join(other)}; change these settings, or make the "
            "views again with `passerby embed TEACHER --parts train --views N --views-of RECIPE`"
        )


def _rows_of(samples: Sequence[Sample], vectors: Embeddings, path: Path) -> Tensor:
    rows: dict[tuple[str, ...], int] = {}
    for row, name in enumerate(vectors.paths):
        if rows.setdefault(key_of(name), row) != row:
            raise ConfigError(f"distillation.vectors: {path} has two vectors of an image called {name}")
    missing = [sample.path for sample in samples if key_of(sample.path) not in rows]
    if missing:
        raise ConfigError(
            f"distillation.vectors: {path} has no vector of {len(missing):,} of {len(samples):,} training images, for "
            f"example {missing[0]}; make it with `passerby embed TEACHER --parts train` on the same dataset"
        )
    chosen = vectors.vectors[[rows[key_of(sample.path)] for sample in samples]]
    return F.normalize(torch.from_numpy(chosen))

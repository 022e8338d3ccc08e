"""What less than float32 does to rankings, measured on images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from passerby.array_types import Float32
from passerby.data.records import Sample
from passerby.models.encoder import Encoder
from passerby.models.engines.precision import evenly

IMAGES = 256
"""Images that rankings are compared on, at most."""
_TOP = 10


@dataclass(frozen=True)
class PrecisionEffect:
    """How the rankings of some images by two precisions agree; `print` shows a line.

    Attributes:
        precision: what was compared with float32.
        images: each was searched for among the others.
        nearest: share of them whose nearest image is the same one.
        top: share of the ten nearest (fewer where there are fewer images) that are the same ones.
        cosine: mean and smallest cosine similarity of an image's two vectors.
    """

    precision: str
    images: int
    nearest: float
    top: float
    cosine: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.precision} against float32 on {self.images:,} of the images: the nearest other image is the same "
            f"for {100 * self.nearest:.1f} %, {100 * self.top:.1f} % of the ten nearest are; cosine similarity of the "
            f"vectors {self.cosine[0]:.4f} on average, {self.cosine[1]:.4f} at least"
        )


def precision_effect(
    encoder: Encoder, samples: Sequence[Sample], *, batch_size: int = 128, flip: bool = True
) -> PrecisionEffect | None:
    """Compare how an encoder of less precision and the exact one rank images; None for an exact encoder.

    Args:
        encoder: what `lower_precision` made.
        samples: images, of which at most 256 are taken, spread evenly.
        batch_size: images a forward pass.
        flip: average the vectors of an image and of its mirror image.

    Raises:
        ImageError: an image cannot be read.
    """
    if encoder.exact is None:
        return None
    paths = evenly([sample.path for sample in samples], IMAGES)
    ours, exact = (one.encode(paths, batch_size=batch_size, flip=flip) for one in (encoder, encoder.exact))
    return compare_rankings(ours, exact, precision=encoder.precision)


def compare_rankings(ours: Float32, exact: Float32, *, precision: str) -> PrecisionEffect:
    """The effect from the vectors themselves.

    Args:
        ours: [n, dim], rows of unit length.
        exact: [n, dim], of the same images in float32.
        precision: name of ours.
    """
    top = min(_TOP, len(ours) - 1)
    cosine = (ours * exact).sum(axis=1)
    first, second = (_ranked(vectors)[:, :top] for vectors in (ours, exact))
    alone = top < 1
    return PrecisionEffect(
        precision=precision,
        images=len(ours),
        nearest=1.0 if alone else float((first[:, 0] == second[:, 0]).mean()),
        top=1.0 if alone else float(np.mean([len(set(a) & set(b)) / top for a, b in zip(first, second, strict=True)])),
        cosine=(float(cosine.mean()), float(cosine.min())),
    )


def _ranked(vectors: Float32) -> np.ndarray[Any, np.dtype[np.int64]]:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")

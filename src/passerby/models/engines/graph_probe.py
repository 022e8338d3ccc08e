"""What a graph really does, tried on a few pictures before it is used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from passerby.array_types import Float32, UInt8
from passerby.errors import WeightsError

LEAST_LIKENESS = 0.9999
"""Smallest cosine similarity of an image's vectors, alone and among others, with which a graph is used."""
_IMAGES = 3


def probe(run: Callable[[UInt8], Float32], height: int, width: int, where: object) -> int:
    """Run a graph on pictures alone and together.

    Args:
        run: pixels uint8 [n, 3, height, width] -> unit vectors [n, dim].
        height: pixels.
        width: pixels.
        where: the graph's file, for messages.

    Returns:
        The length of a vector.

    Raises:
        WeightsError: it fails, gives no vectors, or the vector of an image depends on the other images of its batch.
    """
    images = _pictures(height, width)
    together = run(images)
    alone = np.concatenate([run(images[i : i + 1]) for i in range(_IMAGES)])
    if together.shape[1] != alone.shape[1]:
        raise WeightsError(
            f"{where}: a vector has {alone.shape[1]} numbers for one image and {together.shape[1]} for {_IMAGES}"
        )
    likeness = float((together * alone).sum(1).min())
    if not np.abs(together).any(axis=1).all():
        raise WeightsError(f"{where}: gives a vector of zeros for an ordinary picture")
    if likeness < LEAST_LIKENESS:
        raise DependentError(
            f"{where}: the vector of an image depends on the other images of its batch (alone and among others: cosine "
            f"{likeness:.3f}): a batch norm still in training mode, or ranges measured over the batch. Export it in "
            "evaluation mode"
        )
    return int(together.shape[1])


class DependentError(WeightsError):
    """An image's vector depends on the other images of its batch."""


def _pictures(height: int, width: int) -> UInt8:
    """Coarse random patterns of unlike brightness, uint8 [n, 3, height, width]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (_IMAGES, 3, 8, 4)).astype(np.float64)
    coarse *= np.array([1.0, 0.5, 0.25]).reshape(-1, 1, 1, 1)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 4 // width
    return np.ascontiguousarray(coarse[:, :, rows][:, :, :, columns], np.uint8)

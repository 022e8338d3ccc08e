"""What is subtracted from the vectors of each camera before they are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Int64

_SHORTEST = 1e-12  # a vector that equals what is subtracted is not divided by zero


@dataclass(frozen=True, eq=False)
class CameraOffsets:
    """x -> (x - o) / |x - o| with the offset o of the camera that took x; two are equal if they are the same object.

    Attributes:
        cameras: int64 [c], numbers, ascending.
        offsets: float32 [c + 1, D], of these cameras, and last of every other and of none.
    """

    cameras: Int64
    offsets: Float32

    def rows(self, cameras: Int64) -> Int64:
        """The row of `offsets` for each camera, [n]."""
        if not len(self.cameras):
            return np.zeros(len(cameras), np.int64)
        place = np.searchsorted(self.cameras, cameras).clip(0, len(self.cameras) - 1)
        return np.where(self.cameras[place] == cameras, place, len(self.cameras))

    def apply(self, vectors: Float32, cameras: Int64) -> Float32:
        """Vectors [n, D] of these cameras [n], mapped: of unit length again."""
        moved = vectors - self.offsets[self.rows(cameras)]
        return np.asarray(moved * _scales(moved)[:, None])

    def scales(self, vectors: Float32, cameras: Int64) -> Float32:
        """1 / |x - o|, [n]."""
        return _scales(vectors - self.offsets[self.rows(cameras)])


def _scales(moved: Float32) -> Float32:
    lengths = np.sqrt(np.einsum("nd,nd->n", moved, moved, dtype=np.float64))
    return np.asarray(1.0 / np.maximum(lengths, _SHORTEST), np.float32)

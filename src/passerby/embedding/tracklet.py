"""A tracklet: what one camera saw of one person without a break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.errors import EmbeddingError


@dataclass(frozen=True, eq=False)
class Tracklet:
    """Boxes of one person in successive frames of one camera, and vectors of some of them.

    Attributes:
        camera: name of the camera.
        frames: int64 [n], from 1, ascending.
        times: float64 [n], seconds.
        boxes: float32 [n, 4], left, top, right, bottom in pixels.
        scores: float32 [n], of the detector; 1 where the source gives none.
        vectors: float32 [k, dim], unit vectors of the k best crops, in the order of time; k may be 0.
        vector_frames: int64 [k], the frames of these crops.
        crop_quality: float32 [k], 0 to 1: how well each shows the person (score, size, whole in the picture, not
            overlapped).
        track: the tracker's number; several tracklets may share one, where a track was cut.
        source: the film.
        thumbnail: the best crop as JPEG, or None.
    """

    camera: str
    frames: Int64
    times: Float64
    boxes: Float32
    scores: Float32
    vectors: Float32
    vector_frames: Int64
    crop_quality: Float32
    track: int = -1
    source: str = ""
    thumbnail: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n, k = len(self.frames), len(self.vectors)
        expected: dict[str, tuple[tuple[int, ...], Any]] = {
            "times": ((n,), self.times),
            "boxes": ((n, 4), self.boxes),
            "scores": ((n,), self.scores),
            "vector_frames": ((k,), self.vector_frames),
            "crop_quality": ((k,), self.crop_quality),
        }
        for name, (shape, values) in expected.items():
            if np.shape(values) != shape:
                raise EmbeddingError(f"tracklet: {name} has shape {np.shape(values)}; expected {shape}")
        if not n or self.vectors.ndim != 2 or (np.diff(self.frames) <= 0).any():
            raise EmbeddingError(
                f"tracklet: {n} frames and vectors of shape {self.vectors.shape}; expected at least one frame, frames "
                "in ascending order, and vectors [k, dim]"
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def start(self) -> float:
        """First moment, seconds."""
        return float(self.times[0])

    @property
    def end(self) -> float:
        """Last moment, seconds."""
        return float(self.times[-1])

    @property
    def vector(self) -> Float32 | None:
        """Unit vector [dim] of the whole: its crops' mean, weighted by quality; None without any."""
        if not len(self.vectors):
            return None
        weights = self.crop_quality if (self.crop_quality > 0).any() else np.ones_like(self.crop_quality)
        mean = weights @ self.vectors
        length = float(np.linalg.norm(mean))
        return np.asarray(mean / length, np.float32) if length > 0 else None

    @property
    def agreement(self) -> float:
        """Mean cosine between its crops' vectors and their mean, -1 to 1; 1 for a single crop, 0 without any.

        Low where the tracklet shows more than one person.
        """
        vector = self.vector
        return 0.0 if vector is None else float((self.vectors @ vector).mean())

    @property
    def quality(self) -> float:
        """0 to 1: the mean quality of its crops times their agreement; 0 without any crop."""
        return 0.0 if not len(self.vectors) else float(self.crop_quality.mean()) * max(0.0, self.agreement)

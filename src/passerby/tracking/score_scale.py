"""On which scale the scores of boxes are: shares from 0 to 1, or one of the source's own (logits, for example)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32

_ROUNDING = 1e-3  # a softmax in half precision exceeds 1 by as much


@dataclass
class ScoreScale:
    """What is known of a source's scores; those of other scales say nothing about the quality of a crop.

    Attributes:
        low: least score that was seen.
        high: greatest.
    """

    low: float = math.inf
    high: float = -math.inf

    @property
    def is_share(self) -> bool:
        """Whether all scores so far lie within 0 to 1."""
        return self.low >= -_ROUNDING and self.high <= 1 + _ROUNDING

    def see(self, scores: Iterable[float] | Float32) -> None:
        """Take scores into account."""
        for score in scores:
            self.low, self.high = min(self.low, float(score)), max(self.high, float(score))

    def certainties(self, scores: Float32) -> Float32:
        """Scores [n] as shares, for the quality of crops; 1 where they are on another scale."""
        return np.clip(scores, 0, 1) if self.is_share else np.ones_like(scores)

    def for_tracker(self, scores: Float32, start: float | None) -> Float32:
        """Scores [n] as a tracker with a threshold within 0 to 1 takes them.

        Args:
            scores: as the source gives them.
            start: on the source's scale, score from which a box starts a track; None: the tracker's threshold, or any
                score of another scale.

        Returns:
            Of another scale 1 from `start` on, else -1: below every threshold.
        """
        if self.is_share and (start is None or 0 <= start <= 1):
            return scores
        return np.where(scores >= (-math.inf if start is None else start), 1, -1).astype(np.float32)

    def __str__(self) -> str:
        return (
            f"scores of boxes reach from {self.low:g} to {self.high:g}, not from 0 to 1: they do not count in the "
            "quality of crops, and any of them starts a track (--tracking.start-score says from which on)"
        )

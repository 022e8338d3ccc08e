"""How a trained model is evaluated."""

from __future__ import annotations

from typing import Literal

from passerby.config.settings import Positive, Settings


class EvaluationConfig(Settings):
    """How a trained model is judged."""

    protocol: str | None = None
    """Protocol by name; default: the dataset's own."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of two vectors (encoders give unit vectors, for which both rank alike)."""
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    batch_size: Positive = 128
    """Images a forward pass."""

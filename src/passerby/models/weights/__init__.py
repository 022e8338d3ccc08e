"""Checkpoints of other code bases, read safely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.models.weights.checkpoints import LoadReport, load_weights, read_checkpoint

__all__ = ["LoadReport", "load_weights", "read_checkpoint"]

__getattr__ = lazy_names(
    __name__,
    {
        "LoadReport": "passerby.models.weights.checkpoints",
        "load_weights": "passerby.models.weights.checkpoints",
        "read_checkpoint": "passerby.models.weights.checkpoints",
    },
)

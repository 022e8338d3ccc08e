"""What runs an encoder: torch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.models.engines.engine import ENGINES, Engine, GraphEngine, Preprocessing, TorchEngine

__all__ = ["ENGINES", "Engine", "GraphEngine", "Preprocessing", "TorchEngine"]

__getattr__ = lazy_names(
    __name__,
    {
        "ENGINES": "passerby.models.engines.engine",
        "Engine": "passerby.models.engines.engine",
        "GraphEngine": "passerby.models.engines.engine",
        "Preprocessing": "passerby.models.engines.engine",
        "TorchEngine": "passerby.models.engines.engine",
    },
)

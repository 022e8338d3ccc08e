"""What runs an encoder: torch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.models.engines.engine import ENGINES, Engine
    from passerby.models.engines.graph_engine import METADATA, GraphEngine
    from passerby.models.engines.preprocessing import Preprocessing
    from passerby.models.engines.torch_engine import TorchEngine

__all__ = ["ENGINES", "METADATA", "Engine", "GraphEngine", "Preprocessing", "TorchEngine"]

__getattr__ = lazy_names(
    __name__,
    {
        "ENGINES": "passerby.models.engines.engine",
        "METADATA": "passerby.models.engines.graph_engine",
        "Engine": "passerby.models.engines.engine",
        "GraphEngine": "passerby.models.engines.graph_engine",
        "Preprocessing": "passerby.models.engines.preprocessing",
        "TorchEngine": "passerby.models.engines.torch_engine",
    },
)

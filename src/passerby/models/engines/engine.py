"""What turns pixels into unit vectors: torch, ONNX Runtime or OpenVINO behind one call.

Every engine takes RGB uint8 batches of the encoder's input size and gives unit vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

ENGINES = ("torch", "onnxruntime", "openvino")


class Engine(Protocol):
    """Runs a network on a batch."""

    name: str
    dim: int
    threads: int

    def __call__(self, images: Tensor) -> Tensor:
        """RGB uint8 [n, 3, height, width] -> float32 [n, dim] with rows of unit length."""
        ...

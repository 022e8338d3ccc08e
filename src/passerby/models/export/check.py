"""How near an exported file comes to PyTorch, measured before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from passerby.array_types import UInt8
from passerby.images.decode import resize_image
from passerby.models.encoder import Encoder
from passerby.models.engines.batch_norm_fusion import without_batch_norm
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.graph import Portable

TOLERANCE = 1e-4
"""Largest difference of any number of a vector from PyTorch's that an export may show."""


@dataclass(frozen=True)
class Export:
    """What was written, and how near it comes to PyTorch; `print` shows a summary."""

    path: Path
    """The file; int8: the folder, which `load_encoder` reads."""
    format: str
    """"onnx", "openvino" or "exported_program", with "int8" behind where it is so."""
    crops: int
    """Crops it was checked on."""
    difference: float
    """Largest difference of any number from PyTorch's, crops of the input size."""
    resized_difference: float
    """The same for crops that the graph itself resized."""
    cosine: tuple[float, float]
    """Mean and smallest cosine similarity to PyTorch's vectors."""

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.format}, checked on {self.crops} crops: largest difference from PyTorch "
            f"{self.difference:.1e} ({self.resized_difference:.1e} where the graph resizes), "
            f"cosine {self.cosine[0]:.5f} on average, {self.cosine[1]:.5f} at least"
        )


def random_pictures(encoder: Encoder, count: int = 6) -> list[UInt8]:
    """Smooth random pictures: a coarse grid of colours, enlarged as crops are."""
    rng = np.random.default_rng(0)
    sizes = [(encoder.preprocessing.height, encoder.preprocessing.width), (128, 64), (211, 97)]
    coarse = [rng.integers(0, 256, (16, 8, 3), dtype=np.uint8) for _ in range(count)]
    return [resize_image(image, *sizes[i % len(sizes)]) for i, image in enumerate(coarse)]


def _runner(file: Path, to: str, preprocessing: Preprocessing) -> Any:
    """The written file as a function from uint8 batches to vectors."""
    if to == "exported_program":
        with quiet():
            return torch.export.load(file).module()
    import_exporter("onnxruntime" if to == "onnx" else "openvino")
    return GraphEngine(file, "onnxruntime" if to == "onnx" else "openvino", preprocessing)


def compare_vectors(encoder: Encoder, file: Path, to: str, pictures: Sequence[UInt8], target: Path) -> Export:
    """Compare a written file's vectors of some pictures with PyTorch's.

    Args:
        encoder: the encoder on torch.
        file: what was written.
        to: its format.
        pictures: RGB uint8 [H, W, 3] each.
        target: where the file will be, for the result.
    """
    run = _runner(file, to, encoder.preprocessing)
    size = (encoder.preprocessing.height, encoder.preprocessing.width)
    portable = Portable(without_batch_norm(encoder.model), encoder.preprocessing).eval()
    ready = torch.from_numpy(np.stack([resize_image(p, *size) for p in pictures])).permute(0, 3, 1, 2).contiguous()
    ours = encoder.encode_batch(ready)
    with torch.no_grad():
        theirs = run(ready)
        natives = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].contiguous() for p in pictures[:16]]
        resized = max(float((run(x) - portable(x)).abs().max()) for x in natives)
    cosine = (ours * theirs).sum(1)
    return Export(
        path=target,
        format=to,
        crops=len(pictures),
        difference=float((ours - theirs).abs().max()),
        resized_difference=resized,
        cosine=(float(cosine.mean()), float(cosine.min())),
    )

"""How near an exported file comes to PyTorch, measured before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.array_types import UInt8
from passerby.images.decode import resize_image
from passerby.models.encoder import Encoder
from passerby.models.engines.batch_norm_fusion import without_batch_norm
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.form import ExportForm
from passerby.models.export.graph import Portable

TOLERANCE = 1e-5
"""Largest difference of any number of a vector from PyTorch's that an export may show, for crops of the input size."""
RESIZED_TOLERANCE = 1e-4
"""The same where the graph resizes."""
LEAST_LIKENESS = 0.999
"""Smallest cosine similarity to PyTorch's vectors with which a float16 export is written."""


@dataclass(frozen=True)
class Export:
    """What was written, and how near it comes to PyTorch; `print` shows a summary."""

    path: Path
    """The file; int8: the folder, which `load_encoder` reads."""
    format: str
    """"onnx", "openvino" or "exported_program", with "float16" or "int8" behind where it is so."""
    crops: int
    """Crops it was checked on."""
    difference: float
    """Largest difference of any number from PyTorch's, crops of the input size."""
    resized_difference: float
    """The same for crops that the graph itself resized; 0 where it does not resize."""
    cosine: tuple[float, float]
    """Mean and smallest cosine similarity to PyTorch's vectors."""

    def __str__(self) -> str:
        resized = f" ({self.resized_difference:.1e} where the graph resizes)" if self.resized_difference else ""
        return (
            f"{self.path}: {self.format}, checked on {self.crops} crops: largest difference from PyTorch "
            f"{self.difference:.1e}{resized}, "
            f"cosine {self.cosine[0]:.5f} on average, {self.cosine[1]:.5f} at least"
        )


def random_pictures(encoder: Encoder, count: int = 6) -> list[UInt8]:
    """Smooth random pictures: a coarse grid of colours, enlarged as crops are."""
    rng = np.random.default_rng(0)
    sizes = [(encoder.preprocessing.height, encoder.preprocessing.width), (128, 64), (211, 97)]
    coarse = [rng.integers(0, 256, (16, 8, 3), dtype=np.uint8) for _ in range(count)]
    return [resize_image(image, *sizes[i % len(sizes)]) for i, image in enumerate(coarse)]


def _runner(file: Path, to: str, preprocessing: Preprocessing) -> Any:
    """The written file as a function from uint8 batches to what it gives for them."""
    if to == "exported_program":
        with quiet():
            return torch.export.load(file).module()
    import_exporter("onnxruntime" if to == "onnx" else "openvino")
    engine = GraphEngine(file, "onnxruntime" if to == "onnx" else "openvino", preprocessing)
    return lambda images: torch.from_numpy(engine.rows(images.numpy()))


def compare_vectors(
    encoder: Encoder, file: Path, to: str, pictures: Sequence[UInt8], target: Path, form: ExportForm
) -> Export:
    """Compare a written file's vectors of some pictures with PyTorch's.

    Args:
        encoder: the encoder on torch.
        file: what was written.
        to: its format.
        pictures: RGB uint8 [H, W, 3] each.
        target: where the file will be, for the result.
        form: what the file takes and gives.
    """
    run = _runner(file, to, encoder.preprocessing)
    feed = partial(_program_input, form=form, preprocessing=encoder.preprocessing) if to == "exported_program" else None
    size = (encoder.preprocessing.height, encoder.preprocessing.width)
    exact = ExportForm(form.input, form.normalization, raw=form.raw)
    portable = Portable(without_batch_norm(encoder.model), encoder.preprocessing, exact).eval()
    ready = torch.from_numpy(np.stack([resize_image(p, *size) for p in pictures])).permute(0, 3, 1, 2).contiguous()
    ours = encoder.encode_batch(ready)
    resized = 0.0
    with torch.no_grad():
        theirs = _in_pieces(run, ready, form.batch, feed)
        # what is given as it is must have the right lengths too, not directions alone
        lengths = portable(_program_input(ready, exact, encoder.preprocessing)).norm(dim=1, keepdim=True)
        if form.resizes:
            natives = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].contiguous() for p in pictures[:16]]
            resized = max(
                float(((_in_pieces(run, x, form.batch, feed) - portable(x)) / portable(x).norm()).abs().max())
                for x in natives
            )
    theirs = theirs / lengths
    cosine = (ours * F.normalize(theirs)).sum(1)
    return Export(
        path=target,
        format=to if form.exact else f"{to} {form.precision}",
        crops=len(pictures),
        difference=float((ours - theirs).abs().max()),
        resized_difference=resized,
        cosine=(float(cosine.mean()), float(cosine.min())),
    )


def _program_input(images: Tensor, form: ExportForm, preprocessing: Preprocessing) -> Tensor:
    """Uint8 pixels of the input size as the form takes them."""
    if form.resizes:
        return images
    return images / 255.0 if form.normalizes else preprocessing(images).contiguous()


def _in_pieces(run: Any, images: Tensor, batch: int | None, feed: Callable[[Tensor], Tensor] | None) -> Tensor:
    """A torch program of fixed batch size runs piece by piece, filled up with black images; graphs do so themselves."""
    if feed is None:
        return torch.as_tensor(run(images))
    step = batch or len(images)
    rows = []
    for start in range(0, len(images), step):
        part = images[start : start + step]
        filled = torch.cat([part, part.new_zeros((step - len(part), *part.shape[1:]))])
        rows.append(run(feed(filled))[: len(part)])
    return torch.cat(rows)

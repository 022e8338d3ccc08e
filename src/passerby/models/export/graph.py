"""The graph that is exported, as a torch program and as an ONNX model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.errors import WeightsError
from passerby.models.encoder import Encoder
from passerby.models.engines.batch_norm_fusion import without_batch_norm
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.model import ReIDModel

OPSET = 18
"""The first ONNX operator set whose Resize knows antialiasing."""


class Portable(nn.Module):
    """The graph that is exported: RGB uint8 [n, 3, h, w] to unit vectors [n, dim].

    Args:
        model: the network.
        preprocessing: its input.
        resize: take images of any size; else of the input size alone.
    """

    def __init__(self, model: ReIDModel, preprocessing: Preprocessing, *, resize: bool = True) -> None:
        super().__init__()
        self.model = model
        self.size = (preprocessing.height, preprocessing.width) if resize else None
        self.reverse = preprocessing.colors == "BGR"
        scale = preprocessing.scale
        # torch 2.6 would give a buffer called mean the name of the operation
        self.input_mean: Tensor
        self.input_std: Tensor
        self.register_buffer("input_mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1) * scale)
        self.register_buffer("input_std", torch.tensor(preprocessing.std).view(1, 3, 1, 1) * scale)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        x = images.float()
        if self.size is not None:
            # Antialiased as in training; unlike Pillow it does not round to whole grey levels in between
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        if self.reverse:
            x = x.flip(1)
        return F.normalize(self.model((x - self.input_mean) / self.input_std).embedding)


def torch_program(encoder: Encoder, *, resize: bool = True) -> torch.export.ExportedProgram:
    """The graph for any number of images, of any size where it resizes itself."""
    height, width = encoder.preprocessing.height, encoder.preprocessing.width
    portable = Portable(without_batch_norm(encoder.model), encoder.preprocessing, resize=resize).eval()
    shapes = {0: torch.export.Dim("batch", min=1, max=65536)}
    if resize:
        height, width = height + 2, width + 4  # an example of the input size would make the exporter drop the resizing
        shapes |= {i: torch.export.Dim(name, min=2, max=16384) for i, name in ((2, "height"), (3, "width"))}
    example = torch.zeros(2, 3, height, width, dtype=torch.uint8 if resize else torch.float32)
    with torch.no_grad(), quiet():
        return torch.export.export(portable, (example,), dynamic_shapes=(shapes,))


def onnx_model(program: torch.export.ExportedProgram) -> Any:
    """The graph as an ONNX ModelProto.

    Raises:
        MissingExtraError: the exporter is not installed.
        WeightsError: torch wrote nothing.
    """
    import_exporter("onnxscript")
    with quiet():
        exported = torch.onnx.export(
            program, input_names=["images"], output_names=["vectors"], opset_version=OPSET, dynamo=True, verbose=False
        )
    if exported is None:
        raise WeightsError("torch.onnx gave no program")
    return exported.model_proto

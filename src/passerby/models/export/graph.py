"""The graph that is exported, as a torch program and as an ONNX model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.errors import ConfigError, WeightsError
from passerby.models.encoder import Encoder
from passerby.models.engines.batch_norm_fusion import without_batch_norm
from passerby.models.engines.opened_graph import one_line
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.form import OPSET, ExportForm
from passerby.models.model import ReIDModel

_AXES = ("batch", "3", "height", "width")


class Portable(nn.Module):
    """The graph that is exported: images [n, 3, h, w] to vectors [n, dim].

    Args:
        model: the network.
        preprocessing: its input.
        form: what the graph takes and gives.
        resize: take images of any size, where the form says so; else of the input size alone.
    """

    def __init__(
        self,
        model: ReIDModel,
        preprocessing: Preprocessing,
        form: ExportForm = ExportForm(),  # noqa: B008  (frozen)
        *,
        resize: bool = True,
    ) -> None:
        super().__init__()
        self.model = model if form.exact else _halved(model)
        self.form = form
        self.size = (preprocessing.height, preprocessing.width) if resize and form.resizes else None
        self.reverse = form.normalizes and preprocessing.colors == "BGR"
        # the unit of the input: 0..255 for pixels, 0..1 for floats
        scale = preprocessing.scale / (1.0 if form.resizes else 255.0)
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
        if self.form.normalizes:
            x = (x - self.input_mean) / self.input_std
        vectors = self.model(x if self.form.exact else x.half()).embedding.float()
        return vectors if self.form.raw else F.normalize(vectors)


def torch_program(encoder: Encoder, form: ExportForm, *, resize: bool = True) -> torch.export.ExportedProgram:
    """The graph for images of any size, where it resizes itself, and any number of them unless the form fixes it."""
    height, width = encoder.preprocessing.height, encoder.preprocessing.width
    portable = Portable(without_batch_norm(encoder.model), encoder.preprocessing, form, resize=resize).eval()
    shapes = {} if form.batch else {0: torch.export.Dim("batch", min=1, max=65536)}
    resize = resize and form.resizes
    if resize:
        height, width = height + 2, width + 4  # an example of the input size would make the exporter drop the resizing
        shapes |= {i: torch.export.Dim(name, min=2, max=16384) for i, name in ((2, "height"), (3, "width"))}
    example = torch.zeros(form.batch or 2, 3, height, width, dtype=torch.uint8 if resize else torch.float32)
    with torch.no_grad(), quiet():
        return torch.export.export(portable, (example,), dynamic_shapes=(shapes,))


def onnx_model(program: torch.export.ExportedProgram, opset: int | None = None) -> Any:
    """The graph as an ONNX ModelProto, with named axes.

    Raises:
        MissingExtraError: the exporter is not installed.
        WeightsError: torch wrote nothing.
        ConfigError: torch cannot write this operator set.
    """
    import_exporter("onnxscript")
    wanted = opset or OPSET
    with quiet():
        exported = torch.onnx.export(
            program,
            input_names=["images"],
            output_names=["vectors"],
            opset_version=max(wanted, OPSET),
            dynamo=True,
            verbose=False,
        )
    if exported is None:
        raise WeightsError("torch.onnx gave no program")
    model = exported.model_proto if wanted >= OPSET else _converted(exported.model_proto, wanted)
    found = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if found != wanted:
        raise ConfigError(f"opset: torch {torch.__version__} writes {found} instead of {wanted}; leave the opset out")
    _name_axes(model)
    for node in model.graph.node:  # the exporter writes stack traces there, with the paths of this machine
        del node.metadata_props[:]
    return model


def _converted(model: Any, opset: int) -> Any:
    """To an older operator set, which torch itself does not write."""
    converter = import_exporter("onnx.version_converter")
    try:
        converted = converter.convert_version(model, opset)
    except RuntimeError as error:
        raise ConfigError(f"opset: this network cannot be written in {opset} ({one_line(error)})") from error
    for node in converted.graph.node:  # the converter keeps an attribute that reductions have had only since 18
        kept = [attribute for attribute in node.attribute if attribute.name != "noop_with_empty_axes"]
        del node.attribute[:]
        node.attribute.extend(kept)
    return converted


def _halved(model: ReIDModel) -> ReIDModel:
    """Maps in half precision; the few vectors behind the pooling stay in float32, as in training."""
    model.backbone.half()
    if isinstance(model.backbone.fc, nn.Module):
        model.backbone.fc.float()
    if model.tail is not None:
        model.tail.half()
        model.tail.heads.float()
    return model


def _name_axes(model: Any) -> None:
    """Call the axes of any length batch, height and width, wherever the exporter's own names for them stand."""
    axes = model.graph.input[0].type.tensor_type.shape.dim
    names = {axis.dim_param: name for axis, name in zip(axes, _AXES, strict=True) if axis.dim_param}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names:
                axis.dim_param = names[axis.dim_param]

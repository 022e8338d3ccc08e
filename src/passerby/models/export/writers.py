"""Exported files: one writer a format."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from passerby.images.decode import GREY_BITS
from passerby.models.encoder import Encoder
from passerby.models.engines.opened_graph import METADATA
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.form import ExportForm
from passerby.models.export.graph import onnx_model, torch_program

Format = Literal["onnx", "openvino", "exported_program"]

FILES: dict[str, str] = {"onnx": "encoder.onnx", "openvino": "encoder.xml", "exported_program": "encoder.pt2"}
"""Names of the files in an encoder's folder, where `load_encoder` finds them."""


def metadata_of(encoder: Encoder, form: ExportForm) -> dict[str, str]:
    """What an exported file says about itself.

    `fingerprint` stands there only where the vectors are the encoder's own; `encoder` names it always.
    """
    size = encoder.preprocessing
    return {
        **({"fingerprint": encoder.fingerprint} if form.exact else {}),
        "encoder": encoder.fingerprint,
        "height": str(size.height),
        "width": str(size.width),
        "dim": str(encoder.dim),
        "input": _input_in_words(encoder, form),
        "input_type": form.input,
        "normalization": "inside" if form.normalizes else "outside",
        "scale": str(size.scale),
        "mean": json.dumps(size.mean),
        "std": json.dumps(size.std),
        **({} if size.bits == GREY_BITS else {"bits": str(size.bits)}),
        "colors": size.colors if not form.normalizes else "RGB",
        "precision": form.precision,
        "output": f"vectors: float32 [{form.batch or 'batch'}, dim], "
        + ("as the network gives them" if form.raw else "unit length; compare by Euclidean or cosine distance"),
        "licence": str(encoder.provenance.get("licence", "unknown")),
        "provenance": json.dumps(encoder.provenance, sort_keys=True, default=str),
    }


def _input_in_words(encoder: Encoder, form: ExportForm) -> str:
    batch, size = form.batch or "batch", encoder.preprocessing
    if form.resizes:
        return f"images: uint8 RGB [{batch}, 3, height, width], any size; resized and normalised inside"
    shape = f"[{batch}, 3, {size.height}, {size.width}]"
    if form.normalizes:
        return f"images: float32 RGB {shape} in 0..1; normalised inside"
    return f"images: float32 {size.colors} {shape}, normalised: (pixel / {size.scale:g} - mean) / std"


def write_program(encoder: Encoder, file: Path, form: ExportForm) -> None:
    """A torch program, which `torch.export.load` reads."""
    about = json.dumps(metadata_of(encoder, form))
    with quiet():
        torch.export.save(torch_program(encoder, form), file, extra_files={"passerby.json": about})


def write_onnx(encoder: Encoder, file: Path, form: ExportForm) -> None:
    """An ONNX model."""
    onnx = import_exporter("onnx")
    model = onnx_model(torch_program(encoder, form), form.opset)
    onnx.helper.set_model_props(model, {f"{METADATA}.{k}": v for k, v in metadata_of(encoder, form).items()})
    onnx.save_model(model, str(file))


def write_openvino(encoder: Encoder, file: Path, form: ExportForm) -> None:
    """OpenVINO's .xml, with its .bin beside it; float16 halves the weights alone, as OpenVINO's own tools do."""
    openvino, preprocess = import_exporter("openvino"), import_exporter("openvino.preprocess")
    exact = ExportForm(form.input, form.normalization, form.batch, raw=form.raw)
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        core = Path(temporary) / "core.onnx"
        import_exporter("onnx").save_model(onnx_model(torch_program(encoder, exact, resize=False)), str(core))
        model = openvino.convert_model(core)
    if form.resizes:
        # It reads ONNX's antialiased Resize a little wrong where images shrink (3e-4 in a vector); its Pillow mode is
        # exact
        steps = preprocess.PrePostProcessor(model)
        images = steps.input()
        images.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NCHW"))
        images.tensor().set_spatial_dynamic_shape()
        images.model().set_layout(openvino.Layout("NCHW"))
        pillow = preprocess.ResizeAlgorithm.RESIZE_BILINEAR_PILLOW
        images.preprocess().convert_element_type(openvino.Type.f32).resize(pillow)
        model = steps.build()
    for key, value in metadata_of(encoder, form).items():
        model.set_rt_info(value, [METADATA, key])
    openvino.save_model(model, str(file), compress_to_fp16=not form.exact)


WRITERS: dict[str, Callable[[Encoder, Path, ExportForm], None]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "exported_program": write_program,
}

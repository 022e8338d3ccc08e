"""Exported files: one writer a format."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from passerby.models.encoder import Encoder
from passerby.models.engines.graph_engine import METADATA
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.graph import onnx_model, torch_program

Format = Literal["onnx", "openvino", "exported_program"]

FILES: dict[str, str] = {"onnx": "encoder.onnx", "openvino": "encoder.xml", "exported_program": "encoder.pt2"}
"""Names of the files in an encoder's folder, where `load_encoder` finds them."""


def metadata_of(encoder: Encoder) -> dict[str, str]:
    """What an exported file says about itself."""
    return {
        "fingerprint": encoder.fingerprint,
        "height": str(encoder.preprocessing.height),
        "width": str(encoder.preprocessing.width),
        "dim": str(encoder.dim),
        "input": "images: uint8 RGB [batch, 3, height, width], any size; resized and normalised inside",
        "output": "vectors: float32 [batch, dim], unit length; compare by Euclidean or cosine distance",
        "licence": str(encoder.provenance.get("licence", "unknown")),
        "provenance": json.dumps(encoder.provenance, sort_keys=True, default=str),
    }


def write_program(encoder: Encoder, file: Path) -> None:
    """A torch program, which `torch.export.load` reads."""
    with quiet():
        torch.export.save(torch_program(encoder), file, extra_files={"passerby.json": json.dumps(metadata_of(encoder))})


def write_onnx(encoder: Encoder, file: Path) -> None:
    """An ONNX model."""
    onnx = import_exporter("onnx")
    model = onnx_model(torch_program(encoder))
    onnx.helper.set_model_props(model, {f"{METADATA}.{k}": v for k, v in metadata_of(encoder).items()})
    onnx.save_model(model, str(file))


def write_openvino(encoder: Encoder, file: Path) -> None:
    """OpenVINO's .xml, with its .bin beside it."""
    openvino, preprocess = import_exporter("openvino"), import_exporter("openvino.preprocess")
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        core = Path(temporary) / "core.onnx"
        import_exporter("onnx").save_model(onnx_model(torch_program(encoder, resize=False)), str(core))
        model = openvino.convert_model(core)
    # It reads ONNX's antialiased Resize a little wrong where images shrink (3e-4 in a vector); its Pillow mode is exact
    steps = preprocess.PrePostProcessor(model)
    images = steps.input()
    images.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NCHW")).set_spatial_dynamic_shape()
    images.model().set_layout(openvino.Layout("NCHW"))
    pillow = preprocess.ResizeAlgorithm.RESIZE_BILINEAR_PILLOW
    images.preprocess().convert_element_type(openvino.Type.f32).resize(pillow)
    model = steps.build()
    for key, value in metadata_of(encoder).items():
        model.set_rt_info(value, [METADATA, key])
    openvino.save_model(model, str(file), compress_to_fp16=False)


WRITERS: dict[str, Callable[[Encoder, Path], None]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "exported_program": write_program,
}

"""Weights and activations in eight bits: another encoder, with a fingerprint of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from passerby.array_types import UInt8
from passerby.errors import ConfigError
from passerby.files import replace_folder
from passerby.images.decode import resize_image
from passerby.models.encoder import Encoder
from passerby.models.export.check import Export, compare_vectors
from passerby.models.export.exporters import import_exporter, quiet
from passerby.models.export.form import ExportForm
from passerby.models.export.writers import FILES, metadata_of, write_onnx

_SOURCE = "int8 of the encoder"
"""Begins the field `source` of an int8 encoder's description."""


def check_int8_folder(target: Path) -> Path:
    """The folder of an int8 encoder as it was given: a new or empty one, or that of an int8 encoder before.

    Raises:
        ConfigError: something else lies there, which would be removed.
    """
    if target.is_dir():
        held = next(iter(sorted(target.iterdir())), None)
        if held is None or holds_int8(target):
            return target
        found = f"a folder that holds {held.name}"
    elif target.exists() or target.suffix == Path(FILES["onnx"]).suffix:
        found = "the name of a file"
    else:
        return target
    raise ConfigError(f"{target}: int8 writes a folder of its own, found {found}: name a new folder as out (--out)")


def holds_int8(folder: Path) -> bool:
    """Whether an int8 encoder lies in a folder."""
    try:
        content = json.loads((folder / "encoder.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and str(content.get("source", "")).startswith(_SOURCE)


def export_int8(encoder: Encoder, target: Path, pictures: Sequence[UInt8]) -> Export:
    """Quantise an encoder to ONNX (static, per channel) into a folder of its own, which `load_encoder` reads.

    Args:
        encoder: on torch.
        target: the new encoder's folder.
        pictures: RGB uint8 [H, W, 3] each, to measure activations on.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        StorageError: writing failed; what was there before is intact.
    """
    quantization = import_exporter("onnxruntime.quantization")
    size = (encoder.preprocessing.height, encoder.preprocessing.width)
    batches = iter([{"images": resize_image(p, *size).transpose(2, 0, 1)[None]} for p in pictures])

    reader = type("Crops", (quantization.CalibrationDataReader,), {"get_next": lambda _: next(batches, None)})()
    with replace_folder(target) as place:
        with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
            exact, ready = Path(temporary) / "exact.onnx", Path(temporary) / "ready.onnx"
            write_onnx(encoder, exact, ExportForm())
            with quiet():
                quantization.quant_pre_process(str(exact), str(ready), skip_symbolic_shape=True)
                first = next(n.name for n in import_exporter("onnx").load(ready).graph.node if n.op_type == "Conv")
                quantization.quantize_static(
                    str(ready),
                    str(place / FILES["onnx"]),
                    reader,
                    # sums and gates stay exact: eight bits there cost OSNet much (cosine 0.87 instead of 0.997)
                    op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                    per_channel=True,
                    # Processors without VNNI add pairs of products in 16 bits, which saturate; seven bits of a weight
                    # cannot (OSNet x0.25 on one: smallest cosine 0.93 instead of 0.78)
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                    reduce_range=True,
                    nodes_to_exclude=[first],  # it reads pixels, and is a small part of the work
                )
        report = compare_vectors(encoder, place / FILES["onnx"], "onnx", pictures, target, ExportForm())
        licence = metadata_of(encoder, ExportForm())["licence"]
        content = {
            "file": FILES["onnx"],
            **encoder.preprocessing.model_dump(),
            "name": f"{encoder.model_config.get('backbone', 'encoder')} int8",
            "licence": licence,
            "source": f"{_SOURCE} {encoder.fingerprint}",
        }
        (place / "encoder.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return replace(report, format="onnx int8")

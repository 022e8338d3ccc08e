"""Models that leave the house: one file that takes pixels and gives unit vectors, and is checked before it is kept.

The graph resizes, orders colours, normalises, runs the network and scales vectors to unit length, for any number of
images of any one size. Its file tells where it comes from: fingerprint, input size, licence and provenance.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.array_types import UInt8
from passerby.errors import ConfigError, MissingExtraError, WeightsError, unknown_name
from passerby.files import replace_file, replace_folder
from passerby.images.decode import resize_image
from passerby.models.encoder import Encoder, description_path, load_encoder
from passerby.models.engines.engine import METADATA, GraphEngine, Preprocessing
from passerby.models.engines.fusion import without_batch_norm
from passerby.models.image_inputs import Images, as_list, pixels_of
from passerby.models.model import ReIDModel

Format = Literal["onnx", "openvino", "exported_program"]

FILES: dict[str, str] = {"onnx": "encoder.onnx", "openvino": "encoder.xml", "exported_program": "encoder.pt2"}
TOLERANCE = 1e-4
"""Largest difference of any number of a vector from PyTorch's that an export may show."""
OPSET = 18
"""The first ONNX operator set whose Resize knows antialiasing."""


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


def export(
    encoder: str | os.PathLike[str],
    to: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    int8: bool = False,
    images: Images | None = None,
) -> Export:
    """Write an encoder as one file for another runtime, and keep it only if it computes what PyTorch computes.

    Args:
        encoder: an encoder's or a training run's folder.
        to: "onnx" (ONNX Runtime and others), "openvino", or "exported_program" (`torch.export.load`).
        out: where to; default: encoder.onnx, encoder.xml or encoder.pt2 in the encoder's folder, where
            `load_encoder(folder, engine=...)` finds it.
        int8: quantise weights and activations (ONNX only; static, per channel). This makes a new encoder with its own
            fingerprint, in the folder `out` (default: int8 in the encoder's folder): vectors of the two must not meet
            in one gallery.
        images: crops to check on, and to calibrate int8 on; default: random pictures (int8 needs real ones).

    Returns:
        Where it is and how near it comes to PyTorch.

    Raises:
        ConfigError: an unknown format, int8 for another than ONNX, or int8 without images.
        MissingExtraError: the exporter is not installed.
        WeightsError: no encoder there, or the file's vectors differ from PyTorch's by more than 1e-4.
        StorageError: writing failed; what was there before is intact.
    """
    if to not in FILES:
        raise ConfigError(unknown_name("export format", to, FILES))
    if int8 and to != "onnx":
        raise ConfigError(f"int8 is for the format 'onnx', found {to!r}: OpenVINO reads the ONNX file as well")
    if int8 and images is None:
        raise ConfigError("int8 needs images (some hundred images like those in use) to measure activations on")
    source = load_encoder(encoder, engine="torch")
    folder = description_path(encoder).parent
    pictures = [pixels_of(item) for item in as_list(images)] if images is not None else _random_pictures(source)
    if not pictures:
        raise ConfigError("images: expected at least one image to check the export on")
    if int8:
        return _export_int8(source, Path(out) if out is not None else folder / "int8", pictures)
    target = Path(out) if out is not None else folder / FILES[to]
    if target.is_dir():
        target = target / FILES[to]
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        file = Path(temporary) / FILES[to]
        _WRITERS[to](source, file)
        report = _compare(source, file, to, pictures, target)
        if max(report.difference, report.resized_difference) > TOLERANCE:
            raise WeightsError(
                f"{target}: not written: the {to} graph's vectors differ from PyTorch's by {report.difference:.1e} "
                f"({report.resized_difference:.1e} where it resizes), more than {TOLERANCE:.0e}"
            )
        for written in sorted(file.parent.iterdir(), reverse=True):  # OpenVINO: the .xml before its .bin
            with replace_file(target.with_suffix(written.suffix)) as place:
                shutil.copyfile(written, place)
    return report


def metadata_of(encoder: Encoder) -> dict[str, str]:
    """What an exported file tells about itself."""
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


def _program(encoder: Encoder, *, resize: bool = True) -> torch.export.ExportedProgram:
    height, width = encoder.preprocessing.height, encoder.preprocessing.width
    portable = Portable(without_batch_norm(encoder.model), encoder.preprocessing, resize=resize).eval()
    shapes = {0: torch.export.Dim("batch", min=1, max=65536)}
    if resize:
        height, width = height + 2, width + 4  # an example of the input size would make the exporter drop the resizing
        shapes |= {i: torch.export.Dim(name, min=2, max=16384) for i, name in ((2, "height"), (3, "width"))}
    example = torch.zeros(2, 3, height, width, dtype=torch.uint8 if resize else torch.float32)
    with torch.no_grad(), _quiet():
        return torch.export.export(portable, (example,), dynamic_shapes=(shapes,))


def _write_program(encoder: Encoder, file: Path) -> None:
    with _quiet():
        torch.export.save(_program(encoder), file, extra_files={"passerby.json": json.dumps(metadata_of(encoder))})


def _write_onnx(encoder: Encoder, file: Path) -> None:
    onnx = _import("onnx")
    model = _onnx_model(_program(encoder))
    onnx.helper.set_model_props(model, {f"{METADATA}.{k}": v for k, v in metadata_of(encoder).items()})
    onnx.save_model(model, str(file))


def _onnx_model(program: torch.export.ExportedProgram) -> Any:
    _import("onnxscript")
    with _quiet():
        exported = torch.onnx.export(
            program, input_names=["images"], output_names=["vectors"], opset_version=OPSET, dynamo=True, verbose=False
        )
    if exported is None:
        raise WeightsError("torch.onnx gave no program")
    return exported.model_proto


def _write_openvino(encoder: Encoder, file: Path) -> None:
    openvino, preprocess = _import("openvino"), _import("openvino.preprocess")
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        core = Path(temporary) / "core.onnx"
        _import("onnx").save_model(_onnx_model(_program(encoder, resize=False)), str(core))
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


_WRITERS = {"onnx": _write_onnx, "openvino": _write_openvino, "exported_program": _write_program}


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name, "export", "exporting") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn about their own insides (deprecated pytree classes and the like), nothing a user can act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)


def _random_pictures(encoder: Encoder, count: int = 6) -> list[UInt8]:
    """Smooth random pictures: a coarse grid of colours, enlarged as crops are."""
    rng = np.random.default_rng(0)
    sizes = [(encoder.preprocessing.height, encoder.preprocessing.width), (128, 64), (211, 97)]
    coarse = [rng.integers(0, 256, (16, 8, 3), dtype=np.uint8) for _ in range(count)]
    return [resize_image(image, *sizes[i % len(sizes)]) for i, image in enumerate(coarse)]


def _runner(file: Path, to: str, preprocessing: Preprocessing) -> Any:
    """The written file as a function from uint8 batches to vectors."""
    if to == "exported_program":
        with _quiet():
            return torch.export.load(file).module()
    _import("onnxruntime" if to == "onnx" else "openvino")
    return GraphEngine(file, "onnxruntime" if to == "onnx" else "openvino", preprocessing)


def _compare(encoder: Encoder, file: Path, to: str, pictures: Sequence[UInt8], target: Path) -> Export:
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


def _export_int8(encoder: Encoder, target: Path, pictures: Sequence[UInt8]) -> Export:
    quantization = _import("onnxruntime.quantization")
    size = (encoder.preprocessing.height, encoder.preprocessing.width)
    batches = iter([{"images": resize_image(p, *size).transpose(2, 0, 1)[None]} for p in pictures])

    reader = type("Crops", (quantization.CalibrationDataReader,), {"get_next": lambda _: next(batches, None)})()
    with replace_folder(target) as place:
        with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
            exact, ready = Path(temporary) / "exact.onnx", Path(temporary) / "ready.onnx"
            _write_onnx(encoder, exact)
            with _quiet():
                quantization.quant_pre_process(str(exact), str(ready), skip_symbolic_shape=True)
                quantization.quantize_static(
                    str(ready),
                    str(place / FILES["onnx"]),
                    reader,
                    # sums and gates stay exact: eight bits there cost OSNet much (cosine 0.87 instead of 0.997)
                    op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                    per_channel=True,
                )
        report = _compare(encoder, place / FILES["onnx"], "onnx", pictures, target)
        licence = metadata_of(encoder)["licence"]
        content = {
            "file": FILES["onnx"],
            **encoder.preprocessing.model_dump(),
            "name": f"{encoder.model_config.get('backbone', 'encoder')} int8",
            "licence": licence,
            "source": f"int8 of the encoder {encoder.fingerprint}",
        }
        (place / "encoder.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return replace(report, format="onnx int8")

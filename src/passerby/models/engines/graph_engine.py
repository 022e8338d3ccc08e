"""A graph in a file, run by ONNX Runtime or OpenVINO.

Graphs that passerby exported hold their preprocessing; other people's graphs get it applied in front of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.errors import ConfigError, MissingExtraError, WeightsError, unknown_name
from passerby.models.engines.preprocessing import Preprocessing

METADATA = "passerby"
"""Prefix (ONNX) or section (OpenVINO) of what `passerby export` writes into a file."""

Runner = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]


class GraphEngine:
    """A graph in a file, run by ONNX Runtime or OpenVINO.

    Args:
        path: .onnx, or OpenVINO's .xml (with its .bin beside it).
        engine: "onnxruntime" or "openvino" (which reads both kinds).
        preprocessing: of the encoder; applied here unless the graph holds it, as its metadata says.
        output: name of the output to read, where a graph has several.

    Attributes:
        metadata: what `passerby export` wrote into the file; {} in other people's files.

    Raises:
        MissingExtraError: the engine is not installed.
        WeightsError: missing, damaged, or not a graph from one image batch to vectors.
    """

    def __init__(
        self, path: str | os.PathLike[str], engine: str, preprocessing: Preprocessing, *, output: str | None = None
    ) -> None:
        self.name = engine
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(f"{self.path}: no such model file")
        opener = {"onnxruntime": _open_onnxruntime, "openvino": _open_openvino}
        if engine not in opener:
            raise ConfigError(unknown_name("engine", engine, opener))
        if engine == "onnxruntime" and self.path.suffix != ".onnx":
            raise WeightsError(f"{self.path}: ONNX Runtime reads .onnx files; use the engine 'openvino'")
        self._run, self.metadata = opener[engine](self.path, preprocessing, output)
        self.preprocessing = None if self.metadata.get("fingerprint") else preprocessing
        probe = self(torch.zeros(2, 3, preprocessing.height, preprocessing.width, dtype=torch.uint8))
        if probe.ndim != 2 or probe.shape[0] != 2:
            raise WeightsError(f"{self.path}: expected vectors [2, dim] for two images, found {tuple(probe.shape)}")
        self.dim = int(probe.shape[1])

    def __call__(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        pixels = images.cpu() if self.preprocessing is None else self.preprocessing(images.cpu())
        return F.normalize(torch.from_numpy(self._run(pixels.contiguous().numpy())))


def _open_onnxruntime(path: Path, preprocessing: Preprocessing, output: str | None) -> tuple[Runner, dict[str, str]]:
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export", f"running {path}") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({error})") from error
    metadata = {
        key.removeprefix(f"{METADATA}."): value
        for key, value in session.get_modelmeta().custom_metadata_map.items()
        if key.startswith(f"{METADATA}.")
    }
    inputs, outputs = session.get_inputs(), [node.name for node in session.get_outputs()]
    name = _check_graph(path, [node.name for node in inputs], outputs, output)
    fixed = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else None

    def run(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        def once(part: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
            return session.run([name], {inputs[0].name: part})[0]  # type: ignore[no-any-return]

        return once(pixels) if fixed is None else _in_parts(once, pixels, fixed)

    return run, metadata


def _open_openvino(path: Path, preprocessing: Preprocessing, output: str | None) -> tuple[Runner, dict[str, str]]:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", "export", f"running {path}") from error
    core = openvino.Core()
    try:
        model = core.read_model(path)
        outputs = [next(iter(node.names), node.node.friendly_name) for node in model.outputs]
        name = _check_graph(path, [node.node.friendly_name for node in model.inputs], outputs, output)
        metadata = {}
        if model.has_rt_info([METADATA, "fingerprint"]):
            section = model.get_rt_info([METADATA]).value
            metadata = {key: str(getattr(value, "value", value)) for key, value in section.items()}
        else:
            model.reshape([-1, 3, preprocessing.height, preprocessing.width])
        # Left alone, OpenVINO computes in bf16 where the processor can, and vectors differ by a few thousandths
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise WeightsError(f"{path}: not a readable OpenVINO model for this input size ({error})") from error
    index = outputs.index(name)

    def run(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return np.array(compiled(pixels)[index], np.float32)

    return run, metadata


def _check_graph(path: Path, inputs: list[str], outputs: list[str], output: str | None) -> str:
    """Name of the output to read."""
    if len(inputs) != 1:
        raise WeightsError(f"{path}: expected one input (images), found {len(inputs)}: {', '.join(inputs)}")
    if output is not None and output not in outputs:
        raise WeightsError(f"{path}: " + unknown_name("output", output, outputs))
    if output is None and len(outputs) != 1:
        raise WeightsError(f"{path}: say which output to read; there are {', '.join(outputs)}")
    return output or outputs[0]


def _in_parts(once: Runner, pixels: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    """Run a graph of fixed batch size; the last part is filled up with zeros."""
    rows = []
    for start in range(0, len(pixels), size):
        part = pixels[start : start + size]
        filled = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])
        rows.append(once(filled)[: len(part)])
    return np.concatenate(rows)

"""Running a detector's graph: OpenVINO or ONNX Runtime, one image in, arrays out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Float32
from passerby.errors import MissingExtraError, WeightsError


@dataclass(frozen=True)
class DetectorGraph:
    """An opened graph.

    Attributes:
        path: its file.
        height: of the input, pixels.
        width: of the input, pixels.
        outputs: their shapes.
        run: float32 [1, 3, height, width] -> the outputs.
    """

    path: Path
    height: int
    width: int
    outputs: tuple[tuple[int, ...], ...]
    run: Callable[[Float32], list[Float32]]


def open_graph(path: Path, *, height: int | None, width: int | None, threads: int = 0) -> DetectorGraph:
    """Open an .xml with OpenVINO, an .onnx with ONNX Runtime (with OpenVINO where that is not installed).

    Args:
        path: the file.
        height: of the input; None: what the graph says. Other sizes need OpenVINO, which reshapes the graph.
        width: as `height`.
        threads: of the processor; 0: all.

    Raises:
        WeightsError: missing, damaged, or or with other inputs than one image.
        MissingExtraError: neither engine is installed.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such model file")
    onnxruntime = _module("onnxruntime")
    if path.suffix == ".onnx" and onnxruntime is not None and height is None and width is None:
        return _open_onnxruntime(onnxruntime, path, threads)
    openvino = _module("openvino")
    if openvino is None:
        raise MissingExtraError("openvino", "export", f"running {path}")
    return _open_openvino(openvino, path, height, width, threads)


def _open_openvino(openvino: Any, path: Path, height: int | None, width: int | None, threads: int) -> DetectorGraph:
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"} | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
    try:
        model = core.read_model(path)
        _check_inputs(path, len(model.inputs))
        declared = model.inputs[0].partial_shape
        found = [declared[i].get_length() if declared[i].is_static else None for i in range(len(declared))]
        size = _input_size(path, found, height, width)
        model.reshape([1, 3, *size])
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not a readable OpenVINO model for this input size ({error})") from error

    def run(pixels: Float32) -> list[Float32]:
        found = compiled(pixels)
        return [np.array(found[place], np.float32) for place in range(len(compiled.outputs))]

    return DetectorGraph(path, size[0], size[1], _shapes(run, size), run)


def _open_onnxruntime(onnxruntime: Any, path: Path, threads: int) -> DetectorGraph:
    states = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (states.Fail, states.InvalidGraph, states.InvalidProtobuf) as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({error})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    _check_inputs(path, len(inputs))
    size = _input_size(path, [n if isinstance(n, int) else None for n in inputs[0].shape], None, None)

    def run(pixels: Float32) -> list[Float32]:
        found = session.run([output.name for output in outputs], {inputs[0].name: pixels})
        return [np.asarray(array, np.float32) for array in found]

    return DetectorGraph(path, size[0], size[1], _shapes(run, size), run)


def _shapes(run: Callable[[Float32], list[Float32]], size: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """Shapes of the outputs for a black picture; graphs do not always declare them."""
    return tuple(output.shape for output in run(np.zeros((1, 3, *size), np.float32)))


def _check_inputs(path: Path, inputs: int) -> None:
    if inputs != 1:
        raise WeightsError(f"{path}: {inputs} inputs; expected one, the image")


def _input_size(path: Path, shape: list[int | None], height: int | None, width: int | None) -> tuple[int, int]:
    if len(shape) != 4 or shape[1] not in (3, None):
        raise WeightsError(f"{path}: input shape {shape}; expected [1, 3, height, width]")
    chosen = (height or shape[2], width or shape[3])
    if chosen[0] is None or chosen[1] is None:
        raise WeightsError(f"{path}: the graph takes any input size; say height and width in a description file")
    return chosen[0], chosen[1]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None

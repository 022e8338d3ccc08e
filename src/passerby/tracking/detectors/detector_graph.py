"""Running a detector's graph: OpenVINO or ONNX Runtime, one image in, arrays out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Float32
from passerby.errors import MissingExtraError, WeightsError
from passerby.models.engines import onnxruntime_graph, openvino_graph
from passerby.models.engines.graph_input import FLOATS, WHOLE
from passerby.models.engines.opened_graph import one_line


@dataclass(frozen=True)
class DetectorGraph:
    """An opened graph.

    Attributes:
        path: its file.
        height: of the input, pixels.
        width: of the input, pixels.
        element: numpy's name of the type of the input's numbers; whole ones are the pixels themselves, 0..255.
        outputs: their shapes.
        run: float32 [1, 3, height, width] -> the outputs. Raises WeightsError.
    """

    path: Path
    height: int
    width: int
    element: str
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
        WeightsError: missing, damaged, or with other inputs than one image.
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
    failures = openvino_graph.openvino_failures()
    settings = {"INFERENCE_PRECISION_HINT": "f32"} | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
    try:
        model = openvino.Core().read_model(path)
        _check_inputs(path, len(model.inputs))
        declared = model.inputs[0].partial_shape
        found = [] if declared.rank.is_dynamic else [axis.get_length() if axis.is_static else None for axis in declared]
        size = _input_size(path, found, height, width)
        element = model.inputs[0].get_element_type()
        kind = (
            "float32" if element.is_real() else _known_element(path, openvino_graph.ELEMENTS, element.get_type_name())
        )
        model.reshape([1, 3, *size])
        compiled = openvino.Core().compile_model(_with_float32(openvino, model), "CPU", settings)
    except failures as error:
        raise WeightsError(f"{path}: not a readable OpenVINO model for this input size ({one_line(error)})") from error

    def run(pixels: Float32) -> list[Float32]:
        try:
            found = compiled(np.ascontiguousarray(pixels, kind))
            return [np.array(found[place], np.float32) for place in range(len(compiled.outputs))]
        except failures as error:
            raise WeightsError(f"{path}: OpenVINO cannot run it ({one_line(error)})") from error

    return DetectorGraph(path, size[0], size[1], kind, _shapes(run, size), run)


def _with_float32(openvino: Any, model: Any) -> Any:
    """The model with float32 wherever its input and outputs are of another float type."""
    steps = importlib.import_module("openvino.preprocess").PrePostProcessor(model)
    if model.inputs[0].get_element_type().is_real():
        steps.input().tensor().set_element_type(openvino.Type.f32)
    for place, node in enumerate(model.outputs):
        if node.get_element_type().is_real():
            steps.output(place).tensor().set_element_type(openvino.Type.f32)
    return steps.build()


def _open_onnxruntime(onnxruntime: Any, path: Path, threads: int) -> DetectorGraph:
    failures = onnxruntime_graph.onnxruntime_failures()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = onnxruntime_graph.FATAL
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except failures as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({one_line(error)})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    _check_inputs(path, len(inputs))
    shape = [n if isinstance(n, int) else None for n in inputs[0].shape or ()]
    size = _input_size(path, shape, None, None)
    _check_batch(path, shape[0])
    kind = _known_element(path, onnxruntime_graph.ELEMENTS, inputs[0].type)
    quiet = onnxruntime.RunOptions()
    quiet.log_severity_level = onnxruntime_graph.FATAL

    def run(pixels: Float32) -> list[Float32]:
        try:
            batch = np.ascontiguousarray(pixels, kind)
            found = session.run([output.name for output in outputs], {inputs[0].name: batch}, quiet)
            return [np.asarray(array, np.float32) for array in found]
        except failures as error:
            raise WeightsError(f"{path}: ONNX Runtime cannot run it ({one_line(error)})") from error

    return DetectorGraph(path, size[0], size[1], kind, _shapes(run, size), run)


def _known_element(path: Path, names: Mapping[str, str], element: str) -> str:
    kind = names.get(element, element)
    if kind not in (*FLOATS, *WHOLE):
        raise WeightsError(f"{path}: takes {kind} numbers; expected one of {', '.join((*FLOATS, *WHOLE))}")
    return kind


def _check_batch(path: Path, images: int | None) -> None:
    if images not in (1, None):
        raise WeightsError(
            f"{path}: takes {images} images at once; expected one, [1, 3, height, width]: export it for one (or say "
            "height and width in a description file, for which OpenVINO reshapes it)"
        )


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

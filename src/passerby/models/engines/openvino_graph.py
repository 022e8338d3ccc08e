"""Opening a graph with OpenVINO."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.errors import MissingExtraError, WeightsError
from passerby.models.engines.opened_graph import METADATA, OpenedGraph, check_names, one_line
from passerby.models.engines.threads import usable_threads

ELEMENTS = {
    "f32": "float32",
    "f16": "float16",
    "f64": "float64",
    "bf16": "bfloat16",
    "u8": "uint8",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
}
"""Types of numbers: OpenVINO's name -> numpy's."""
_CONVERTED = ("bfloat16", "float16", "float64")


def open_openvino(
    path: Path, output: str | None, *, threads: int = 0, size: tuple[int, int] | None = None
) -> OpenedGraph:
    """Open OpenVINO's .xml or an .onnx file on the CPU.

    Args:
        path: the file.
        output: name of the output to read, where there are several.
        threads: of one run; 0: as many as this process may use.
        size: height and width that a graph of fixed other size is reshaped to, which OpenVINO can.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        WeightsError: not a readable graph from one input to vectors.
    """
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtraError("openvino", "export", f"running {path}") from error
    failures = openvino_failures()
    try:
        model = openvino.Core().read_model(path)
        outputs = [min(node.names, default=node.node.friendly_name) for node in model.outputs]
        chosen = _output_named(model, outputs, output)
        name = check_names(path, [node.node.friendly_name for node in model.inputs], outputs, chosen)
        metadata = _metadata(model)
        _reshape(model, size)
        element = model.inputs[0].get_element_type().get_type_name()
        shape = _shape(model.inputs[0].get_partial_shape())
        runs = _Compiled(openvino, model, outputs.index(name), threads or usable_threads())
    except failures as error:
        raise WeightsError(f"{path}: not a readable OpenVINO model ({one_line(error)})") from error

    def run(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        try:
            return runs(batch)
        except failures as error:
            size = "x".join(map(str, batch.shape))
            raise WeightsError(f"{path}: OpenVINO cannot run it on {size} ({one_line(error)})") from error

    kind = ELEMENTS.get(element, element)
    return OpenedGraph(path, "float32" if kind in _CONVERTED else kind, shape, metadata, run)


class _Compiled:
    """A compiled graph; the input's and the output's numbers are float32 wherever they are of a float type."""

    def __init__(self, openvino: Any, model: Any, index: int, threads: int) -> None:
        steps = importlib.import_module("openvino.preprocess").PrePostProcessor(model)
        if model.inputs[0].get_element_type().is_real():
            steps.input().tensor().set_element_type(openvino.Type.f32)
        if model.outputs[index].get_element_type().is_real():
            steps.output(index).tensor().set_element_type(openvino.Type.f32)
        # Left alone, OpenVINO computes in bf16 where the processor can, and vectors differ by a few thousandths
        exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self._compiled = openvino.Core().compile_model(steps.build(), "CPU", exact)
        self._index = index

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array(self._compiled(np.ascontiguousarray(batch))[self._index])


def _output_named(model: Any, outputs: list[str], wanted: str | None) -> str | None:
    """The output that has this name among its names."""
    for node, first in zip(model.outputs, outputs, strict=True):
        if wanted in node.names:
            return first
    return wanted


def _reshape(model: Any, size: tuple[int, int] | None) -> None:
    """Another height and width for a graph [n, 3, height, width] that has fixed ones."""
    shape = list(_shape(model.inputs[0].get_partial_shape()))
    if size is not None and len(shape) == 4 and shape[1] == 3 and None not in shape[2:] and tuple(shape[2:]) != size:
        model.reshape([-1 if shape[0] is None else shape[0], 3, *size])


def _shape(partial: Any) -> tuple[int | None, ...]:
    if partial.rank.is_dynamic:
        return ()
    return tuple(None if axis.is_dynamic else int(axis.get_length()) for axis in partial)


def _metadata(model: Any) -> dict[str, str]:
    """Of its own files and of ONNX files, whose metadata OpenVINO keeps under "framework"."""
    if model.has_rt_info([METADATA, "input"]):
        section, prefix = model.get_rt_info([METADATA]).value, ""
    elif model.has_rt_info(["framework", f"{METADATA}.input"]):
        section, prefix = model.get_rt_info(["framework"]).value, f"{METADATA}."
    else:
        return {}
    found = {key: str(getattr(value, "value", value)) for key, value in section.items()}
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def openvino_failures() -> tuple[type[Exception], ...]:
    """Every exception that OpenVINO's readers define, and those that its bindings raise."""
    frontend = importlib.import_module("openvino.frontend")
    own = [kind for kind in vars(frontend).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)

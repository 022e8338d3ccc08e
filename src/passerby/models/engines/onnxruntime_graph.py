"""Opening a graph with ONNX Runtime."""

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
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bfloat16)": "bfloat16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
"""Types of numbers: ONNX Runtime's name -> numpy's."""
FATAL = 4
"""Severity from which ONNX Runtime logs: its log says again, in several lines, what the exception says."""


def open_onnxruntime(path: Path, output: str | None, *, threads: int = 0) -> OpenedGraph:
    """Open an .onnx file on the CPU.

    Args:
        path: the file.
        output: name of the output to read, where there are several.
        threads: of one run; 0: as many as this process may use.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        WeightsError: not a readable graph from one input to vectors.
    """
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export", f"running {path}") from error
    failures = onnxruntime_failures()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = threads or usable_threads()
    # Waiting threads that spin slow everything down where cores are shared
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except failures as error:
        raise WeightsError(f"{path}: not a readable ONNX model for ONNX Runtime ({one_line(error)})") from error
    inputs, outputs = session.get_inputs(), {node.name: node.type for node in session.get_outputs()}
    name = check_names(path, [node.name for node in inputs], list(outputs), output)
    if not outputs[name].startswith("tensor("):
        raise WeightsError(f"{path}: output {name!r}: expected an array of vectors, found {outputs[name]}")
    quiet = onnxruntime.RunOptions()
    quiet.log_severity_level = FATAL

    def run(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        try:
            return np.asarray(session.run([name], {inputs[0].name: batch}, quiet)[0])
        except failures as error:
            shape = "x".join(map(str, batch.shape))
            raise WeightsError(f"{path}: ONNX Runtime cannot run it on {shape} ({one_line(error)})") from error

    return OpenedGraph(
        path=path,
        element=ELEMENTS.get(inputs[0].type, inputs[0].type),
        shape=tuple(size if isinstance(size, int) and size >= 0 else None for size in inputs[0].shape or ()),
        metadata=_metadata(session),
        run=run,
    )


def _metadata(session: Any) -> dict[str, str]:
    found = session.get_modelmeta().custom_metadata_map
    prefix = f"{METADATA}."
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def onnxruntime_failures() -> tuple[type[Exception], ...]:
    """Every exception that ONNX Runtime defines, and those that its bindings raise."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, TypeError, IndexError)

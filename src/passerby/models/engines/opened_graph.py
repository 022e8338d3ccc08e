"""What an engine opened: the input that a graph declares, what its file says about itself, and how to run it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from passerby.errors import WeightsError, unknown_name

METADATA = "passerby"
"""Prefix (ONNX) or section (OpenVINO) of what `passerby export` writes into a file."""

_SOURCE_LINE = re.compile(r"(Exception from|Check '[^']*' failed at) \S+?:\d+: ?")  # of OpenVINO's own code
_SHOWN = 240  # characters of an engine's own message


@dataclass(frozen=True)
class OpenedGraph:
    """A graph from one image batch to one array.

    Attributes:
        path: the file.
        element: type of the input's numbers, as numpy calls it ("float32", "uint8", "bfloat16", ...).
        shape: the input's axes, None for an axis of any length; () where the graph does not say how many axes.
        metadata: what `passerby export` wrote into the file; {} in other people's files.
        run: one array of the declared type and shape -> the output that was asked for. Raises WeightsError.
    """

    path: Path
    element: str
    shape: tuple[int | None, ...]
    metadata: dict[str, str]
    run: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def check_names(path: Path, inputs: list[str], outputs: list[str], output: str | None) -> str:
    """Name of the output to read.

    Raises:
        WeightsError: not one input, or none or several outputs to choose from.
    """
    if len(inputs) != 1:
        raise WeightsError(f"{path}: expected one input (images), found {len(inputs)}: {', '.join(inputs)}")
    if output is not None and output not in outputs:
        raise WeightsError(f"{path}: " + unknown_name("output", output, outputs))
    if output is None and len(outputs) != 1:
        raise WeightsError(
            f"{path}: say which output to read (`output = ...` in the description); there are {', '.join(outputs)}"
        )
    return output or outputs[0]


def one_line(error: BaseException) -> str:
    """An engine's message without its line breaks and stack, at most a few lines of a terminal long."""
    text = _SOURCE_LINE.sub("", " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

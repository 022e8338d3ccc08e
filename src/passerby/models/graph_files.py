"""The files that hold the weights of a graph: the graph's own, and those that it refers to."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from passerby.errors import MissingExtraError, WeightsError

_EXTERNAL = b"location"  # the key that every reference to another file has, in plain text
_CHUNK = 2**20


def files_of_graph(model: Path) -> list[Path]:
    """The graph's file first, then the .bin of an .xml, or the external data of an .onnx, in the order of their names.

    Raises:
        WeightsError: a file is missing, or the graph refers to one outside its folder.
        MissingExtraError: an .onnx that may refer to other files, and the package onnx is not installed.
    """
    if not model.is_file():
        raise WeightsError(f"{model}: no such model file")
    if model.suffix == ".xml":
        others = [model.with_suffix(".bin")]
    elif model.suffix == ".onnx" and _contains(model, _EXTERNAL):
        others = [model.parent / name for name in _external_names(model)]
    else:
        others = []
    for file in others:
        if not file.resolve().is_relative_to(model.parent.resolve()):
            raise WeightsError(f"{model}: holds weights in {file}, outside its own folder; expected them beside it")
        if not file.is_file():
            raise WeightsError(f"{file}: no such file, in which {model.name} has weights")
    return [model, *others]


def _contains(file: Path, word: bytes) -> bool:
    """Whether a word stands anywhere in a file; spares most graphs the import of onnx."""
    tail = b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if word in tail + chunk:
                return True
            tail = chunk[-len(word) :]
    return False


def _external_names(model: Path) -> list[str]:
    try:
        onnx = importlib.import_module("onnx")
        decoding = importlib.import_module("google.protobuf.message").DecodeError
    except ImportError as error:
        raise MissingExtraError("onnx", "export", f"finding the weights of {model}") from error
    try:
        content = onnx.load(str(model), load_external_data=False)
    except (decoding, ValueError) as error:
        raise WeightsError(f"{model}: not a readable ONNX model ({error})") from error
    return sorted(
        {entry.value for t in _tensors(content, onnx) for entry in t.external_data if entry.key == "location"}
    )


def _tensors(message: Any, onnx: Any) -> Iterator[Any]:
    """Every tensor anywhere in a message: initialisers, constants, those of subgraphs and functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from _tensors(inner, onnx)

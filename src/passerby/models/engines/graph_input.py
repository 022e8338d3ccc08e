"""From pixels to the array that a graph declares: element type, order of the axes, images at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import UInt8
from passerby.errors import WeightsError
from passerby.models.engines.opened_graph import OpenedGraph
from passerby.models.engines.preprocessing import Preprocessing

FLOATS = ("float32", "float16", "float64")
WHOLE = ("uint8", "int32", "int64")


@dataclass(frozen=True)
class GraphInput:
    """How batches reach a graph.

    Attributes:
        element: numpy's name of the type. Floats are normalised; whole numbers are the pixels themselves, 0..255, as
            the normalised ones would all be rounded to a few values.
        channels_last: [n, height, width, 3] instead of [n, 3, height, width].
        piece: run so many images at once, the last ones filled up with black ones; None: any number.
    """

    element: str
    channels_last: bool
    piece: int | None

    def prepared(self, images: UInt8, preprocessing: Preprocessing | None) -> npt.NDArray[Any]:
        """RGB uint8 [n, 3, height, width] as the graph takes them; None: the graph holds its preprocessing."""
        if preprocessing is None:
            batch: npt.NDArray[Any] = images
        elif self.element in FLOATS:
            batch = preprocessing.normalize(images)
        else:
            batch = preprocessing.order(images)
        if self.channels_last:
            batch = batch.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(batch, self.element)

    def pieces(self, batch: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], int]]:
        """The batch in pieces, and how many rows of each count."""
        if self.piece is None:
            yield batch, len(batch)
            return
        for start in range(0, len(batch), self.piece):
            part = batch[start : start + self.piece]
            missing = self.piece - len(part)
            if missing:
                filled = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
                yield filled, len(part)
            else:
                yield part, len(part)


def possible_inputs(graph: OpenedGraph, preprocessing: Preprocessing, *, any_size: bool) -> list[GraphInput]:
    """What fits the graph's declared input, the likeliest first.

    Args:
        graph: what was opened.
        preprocessing: the input size that the encoder's description gives.
        any_size: the graph resizes by itself.

    Raises:
        WeightsError: it declares an input that no image batch of this size fits.
    """
    if graph.element not in (*FLOATS, *WHOLE):
        raise WeightsError(
            f"{graph.path}: takes {graph.element} numbers; expected one of {', '.join((*FLOATS, *WHOLE))}"
            + _advice(graph)
        )
    if graph.shape and (len(graph.shape) != 4 or 0 in graph.shape):
        raise WeightsError(f"{graph.path}: expected an input of four axes (images), found {_written(graph.shape)}")
    batch, *axes = graph.shape or (None, None, None, None)
    size = (preprocessing.height, preprocessing.width)
    wanted = {False: (3, *size), True: (*size, 3)}
    layouts = [last for last in (False, True) if any_size or _fits(axes, wanted[last])]
    if not layouts:
        raise WeightsError(
            f"{graph.path}: expected an input of 3 channels, {size[0]} high and {size[1]} wide (described): "
            f"[n, 3, {size[0]}, {size[1]}] or [n, {size[0]}, {size[1]}, 3]; the graph declares {_written(graph.shape)}"
        )
    # a graph of any batch size may still have lost its batch axis inside: then it runs image by image
    pieces = [batch] if batch is not None else [None, 1]
    return [GraphInput(graph.element, last, piece) for piece in pieces for last in layouts]


def _fits(axes: list[int | None], wanted: tuple[int, ...]) -> bool:
    return all(axis in (None, size) for axis, size in zip(axes, wanted, strict=True))


def _written(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def _advice(graph: OpenedGraph) -> str:
    if graph.element == "bfloat16":
        return "; ONNX Runtime has no bfloat16 here: load it with the engine 'openvino', or export it in float32"
    return ""

"""From a detector's outputs to boxes: one function for each published form of output.

A new form is one function and one line in `DECODINGS`; `DetectorDescription.decoding` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.tracking.detectors.input_tensor import Fit

_STRIDES = (8, 16, 32)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of RGB in 0..1

Shapes = Sequence[tuple[int, ...]]
Outputs = Sequence[Float32]
Boxes = tuple[Float64, Float32]
"""float64 [n, 4], left, top, right, bottom in pixels of the input; float32 [n], scores of the class person."""


@dataclass(frozen=True)
class DecodingContext:
    """What decoding needs besides the outputs.

    Attributes:
        height: of the input, pixels.
        width: of the input, pixels.
        label: number of the class person.
        threshold: least score.
        normalized: boxes are shares of the input, where the form of output leaves it open.
        activation: of logits, where the form of output leaves it open.
    """

    height: int
    width: int
    label: int
    threshold: float
    normalized: bool = False
    activation: Literal["softmax", "sigmoid"] = "softmax"


@dataclass(frozen=True)
class Decoding:
    """One form of output, and what its models usually expect.

    Attributes:
        fits: shapes of the outputs, cells of the input -> whether they are of this form.
        decode: outputs -> boxes.
        form: the shapes, for messages.
        threshold: least score of a box.
        duplicates: IoU above which the less certain of two boxes goes.
        label: of a person, where all published models agree.
        fit: see `InputFormat`.
        colors: see `InputFormat`.
        scale: see `InputFormat`.
        mean: see `InputFormat`.
        std: see `InputFormat`.
    """

    fits: Callable[[Shapes, int], bool]
    decode: Callable[[Outputs, DecodingContext], Boxes]
    form: str
    threshold: float
    duplicates: float
    label: int | None
    fit: Fit = "stretch"
    colors: Literal["RGB", "BGR"] = "RGB"
    scale: float = 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


def cell_count(height: int, width: int) -> int:
    """Cells of strides 8, 16 and 32 in an input."""
    return sum((height // stride) * (width // stride) for stride in _STRIDES)


def decode_ssd(outputs: Outputs, context: DecodingContext) -> Boxes:
    """[1, 1, n, 7]: rows of image, label, score, x1, y1, x2, y2 as shares; they end at the first image below 0."""
    rows = outputs[0].reshape(-1, 7)
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    rows = rows[(rows[:, 1] == context.label) & (rows[:, 2] >= context.threshold)]
    return _pixels(rows[:, 3:], context), rows[:, 2]


def decode_yolox(outputs: Outputs, context: DecodingContext) -> Boxes:
    """[1, cells, 5 + classes], not decoded: cells of strides 8, 16 and 32 row by row.

    Centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness * class score, both within 0..1 already
    (Ge et al. 2021, arXiv:2107.08430, and its demo code).
    """
    rows = outputs[0][0].astype(np.float64)
    cells, strides = _cells(context.height, context.width)
    scores = rows[:, 4] * rows[:, 5 + context.label]
    sure = scores >= context.threshold
    center = (rows[sure, :2] + cells[sure]) * strides[sure]
    return _corners(center, np.exp(rows[sure, 2:4]) * strides[sure]), scores[sure].astype(np.float32)


def decode_yolov8(outputs: Outputs, context: DecodingContext) -> Boxes:
    """[1, 4 + classes, n] or [1, n, 4 + classes]: centre and size in input pixels, scores within 0..1.

    Further outputs (masks) and columns behind the classes (keypoints) are not read.
    """
    rows = next(output for output in outputs if output.ndim == 3)[0].astype(np.float64)
    cells = cell_count(context.height, context.width)
    channels_first = cells == rows.shape[1] or (cells != rows.shape[0] and rows.shape[0] < rows.shape[1])
    rows = rows.T if channels_first else rows
    scores = rows[:, 4 + context.label]
    sure = scores >= context.threshold
    return _corners(rows[sure, :2], rows[sure, 2:4]), scores[sure].astype(np.float32)


def decode_detr(outputs: Outputs, context: DecodingContext) -> Boxes:
    """Logits [1, n, classes] and boxes [1, n, 4] (centre and size as shares), in any order.

    With "softmax" the last class is "no object" (Carion et al. 2020, arXiv:2005.12872); "sigmoid" is for the models
    that came after it (Zhu et al. 2021, arXiv:2010.04159).
    """
    boxes, logits = _boxes_and_logits(outputs)
    values = logits.astype(np.float64)
    if context.activation == "sigmoid":
        scores = 1 / (1 + np.exp(-values[:, context.label]))
    else:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        scores = powers[:, context.label] / powers.sum(axis=1)
    sure = scores >= context.threshold
    corners = _corners(boxes[sure, :2].astype(np.float64), boxes[sure, 2:].astype(np.float64))
    return _pixels(corners, context), scores[sure].astype(np.float32)


def decode_nms_in_graph(outputs: Outputs, context: DecodingContext) -> Boxes:
    """Boxes that the graph has already sorted out.

    [n, 6] or [1, n, 6]: x1, y1, x2, y2, score, label. [n, 7] or [1, n, 7]: image, x1, y1, x2, y2, label, score. In
    input pixels, or as shares with `normalized`; rows of score 0 fill up.
    """
    rows = outputs[0].reshape(-1, outputs[0].shape[-1])
    columns = (slice(1, 5), 5, 6) if rows.shape[1] == 7 else (slice(0, 4), 5, 4)
    boxes, labels, scores = (rows[:, column] for column in columns)
    sure = (np.rint(labels) == context.label) & (scores >= context.threshold)
    chosen = boxes[sure].astype(np.float64)
    return _pixels(chosen, context) if context.normalized else chosen, scores[sure]


def _is_ssd(shapes: Shapes, cells: int) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][-1] == 7


def _is_yolov8(shapes: Shapes, cells: int) -> bool:
    first = next((shape for shape in shapes if len(shape) == 3), (0, 0, 0))
    # of 85 columns the fifth is YOLOX's objectness; 84 are 4 and the 80 classes of COCO, 5 a single class
    return (first[2] == cells and first[1] >= 5) or (first[1] == cells and first[2] in (5, 84))


def _is_yolox(shapes: Shapes, cells: int) -> bool:
    return len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][1] == cells and shapes[0][2] > 5


def _is_detr(shapes: Shapes, cells: int) -> bool:
    queries = {shape[1] for shape in shapes if len(shape) == 3}
    widths = [shape[2] for shape in shapes if len(shape) == 3]
    return len(shapes) == len(widths) == 2 and len(queries) == 1 and widths.count(4) == 1


def _is_nms(shapes: Shapes, cells: int) -> bool:
    return len(shapes) == 1 and len(shapes[0]) in (2, 3) and shapes[0][-1] in (6, 7)


DECODINGS: dict[str, Decoding] = {
    "ssd": Decoding(_is_ssd, decode_ssd, "[1, 1, n, 7]", 0.3, 0.55, None, colors="BGR", scale=1.0),
    "yolov8": Decoding(
        _is_yolov8, decode_yolov8, "[1, 4 + classes, n] or [1, n, 4 + classes]", 0.25, 0.7, 0, fit="center"
    ),
    "yolox": Decoding(
        _is_yolox, decode_yolox, "[1, cells, 5 + classes]", 0.6, 0.45, 0, fit="corner", colors="BGR", scale=1.0
    ),
    "detr": Decoding(
        _is_detr, decode_detr, "[1, n, classes] and [1, n, 4]", 0.7, 0.7, None, mean=_IMAGENET[0], std=_IMAGENET[1]
    ),
    "nms_in_graph": Decoding(_is_nms, decode_nms_in_graph, "[n, 6], [1, n, 6] or [n, 7]", 0.25, 0.7, 0, fit="center"),
}
"""Forms of output by name, in the order in which a graph's outputs are compared with them."""


def _boxes_and_logits(outputs: Outputs) -> tuple[Float32, Float32]:
    first, second = (output[0] for output in outputs)
    return (first, second) if first.shape[1] == 4 else (second, first)


def _corners(center: Float64, size: Float64) -> Float64:
    return np.concatenate([center - size / 2, center + size / 2], axis=1)


def _pixels(shares: Float32 | Float64, context: DecodingContext) -> Float64:
    return np.asarray(shares.astype(np.float64) * np.array([context.width, context.height] * 2), np.float64)


def _cells(height: int, width: int) -> tuple[Float64, Float64]:
    """(column, row) of each cell [n, 2] and its stride [n, 1]."""
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(strides).astype(np.float64)

"""From a picture to people's boxes: SSD and YOLOX models, recognised by the shape of their output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from passerby.array_types import Float32, UInt8
from passerby.errors import WeightsError
from passerby.tracking.detections import Detections, suppress_duplicates
from passerby.tracking.detectors.description import PERSON_LABELS, DetectorDescription, describe_detector
from passerby.tracking.detectors.detector_graph import DetectorGraph, open_graph

_STRIDES = (8, 16, 32)
_PAD = 114  # YOLOX fills what the picture leaves of the input with this grey


class Detector(Protocol):
    """Finds people; any function of this form can be one."""

    def __call__(self, image: UInt8) -> Detections:
        """RGB uint8 [H, W, 3] -> boxes in pixels of the picture, with scores."""
        ...


class SsdDetector:
    """An SSD whose graph ends in boxes: [1, 1, n, 7], rows of image, label, score, x1, y1, x2, y2 as shares.

    The picture is resized to the input without regard to its proportions. Rows end at the first image number below 0.

    Args:
        graph: the opened model.
        description: what is known of it.

    Raises:
        WeightsError: nothing says which label is a person.
    """

    def __init__(self, graph: DetectorGraph, description: DetectorDescription) -> None:
        label = description.label if description.label is not None else PERSON_LABELS.get(graph.path.stem)
        if label is None:
            raise WeightsError(
                f"{graph.path}: an SSD whose label of a person is not known; say it in a description file: "
                f'file = "{graph.path.name}" and label = 0 (or 1, ...)'
            )
        self._graph, self._description, self._label = graph, description, label
        self.threshold = 0.3 if description.threshold is None else description.threshold

    def __call__(self, image: UInt8) -> Detections:
        """See `Detector`."""
        rows = self._graph.run(_input(image, self._graph, self._description)).reshape(-1, 7)
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        rows = rows[(rows[:, 1] == self._label) & (rows[:, 2] >= self.threshold)]
        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        return suppress_duplicates(_sound(rows[:, 3:] * size, rows[:, 2]), self._description.duplicates or 0.55)


class YoloxDetector:
    """A YOLOX whose output is not decoded: [1, cells, 5 + classes], cells of strides 8, 16 and 32 row by row.

    Centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness * class score, both within 0..1 already
    (Ge et al. 2021, arXiv:2107.08430, and its demo code). The picture keeps its proportions, at the top left.

    Args:
        graph: the opened model.
        description: what is known of it.
    """

    def __init__(self, graph: DetectorGraph, description: DetectorDescription) -> None:
        self._graph, self._description = graph, description
        self._cells, self._strides = _cells(graph.height, graph.width)
        self._label = description.label or 0
        self.threshold = 0.6 if description.threshold is None else description.threshold

    def __call__(self, image: UInt8) -> Detections:
        """See `Detector`."""
        scale = min(self._graph.height / image.shape[0], self._graph.width / image.shape[1])
        rows = self._graph.run(_letterbox(image, self._graph, self._description, scale))[0]
        scores = rows[:, 4] * rows[:, 5 + self._label]
        sure = scores >= self.threshold
        center = (rows[sure, :2] + self._cells[sure]) * self._strides[sure]
        half = np.exp(rows[sure, 2:4]) * self._strides[sure] / 2
        boxes = np.concatenate([center - half, center + half], axis=1) / scale
        return suppress_duplicates(_sound(boxes, scores[sure]), self._description.duplicates or 0.45)


def load_detector(path: str | os.PathLike[str], *, threshold: float | None = None, threads: int = 0) -> Detector:
    """Open a detector.

    Args:
        path: an OpenVINO (.xml) or ONNX (.onnx) file, or a .toml that describes one (see `DetectorDescription`).
        threshold: least score of a box; None: the description's, else 0.3 for SSD and 0.6 for YOLOX.
        threads: of the processor; 0: all.

    Raises:
        WeightsError: missing, damaged, or an output that is neither SSD's nor YOLOX's.
        MissingExtraError: no engine for it is installed.
    """
    file = Path(path).expanduser()
    description = describe_detector(file)
    if threshold is not None:
        description = description.model_copy(update={"threshold": threshold})
    graph = open_graph(
        file.parent / description.file, height=description.height, width=description.width, threads=threads
    )
    decoding = description.decoding or _guess_decoding(graph)
    return SsdDetector(graph, description) if decoding == "ssd" else YoloxDetector(graph, description)


def _guess_decoding(graph: DetectorGraph) -> str:
    if len(graph.output) == 4 and graph.output[-1] == 7:
        return "ssd"
    if len(graph.output) == 3 and graph.output[-1] > 5 and graph.output[1] == len(_cells(graph.height, graph.width)[0]):
        return "yolox"
    raise WeightsError(
        f"{graph.path}: output shape {list(graph.output)}; expected SSD's [1, 1, n, 7] or YOLOX's [1, cells, 5 + "
        "classes] for strides 8, 16 and 32"
    )


def _cells(height: int, width: int) -> tuple[Float32, Float32]:
    """(column, row) of each cell [n, 2] and its stride [n, 1]."""
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _input(image: UInt8, graph: DetectorGraph, description: DetectorDescription) -> Float32:
    return _tensor(_resized(image, graph.height, graph.width), description)


def _letterbox(image: UInt8, graph: DetectorGraph, description: DetectorDescription, scale: float) -> Float32:
    canvas = np.full((graph.height, graph.width, 3), _PAD, np.uint8)
    height, width = int(image.shape[0] * scale), int(image.shape[1] * scale)
    canvas[:height, :width] = _resized(image, height, width)
    return _tensor(canvas, description)


def _resized(image: UInt8, height: int, width: int) -> UInt8:
    # reducing_gap=None and BILINEAR antialias where the picture shrinks
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _tensor(image: UInt8, description: DetectorDescription) -> Float32:
    channels = image[:, :, ::-1] if description.colors == "BGR" else image
    pixels = np.ascontiguousarray(channels.transpose(2, 0, 1)[None], np.float32)
    return pixels if description.scale == 1 else np.asarray(pixels / description.scale, np.float32)


def _sound(boxes: Float32, scores: Float32) -> Detections:
    """Boxes that have an area."""
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & np.isfinite(boxes).all(axis=1)
    return Detections.of(boxes[kept], scores[kept])

"""From a picture to people's boxes: models in a file, whose outputs are recognised by their shapes."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from passerby.array_types import UInt8
from passerby.errors import WeightsError
from passerby.models.engines.graph_input import WHOLE
from passerby.tracking.detections import Detections, suppress_duplicates
from passerby.tracking.detectors.decoding import DECODINGS, Decoding, DecodingContext, cell_count
from passerby.tracking.detectors.description import PERSON_LABELS, DetectorDescription, describe_detector
from passerby.tracking.detectors.detector_graph import DetectorGraph, open_graph
from passerby.tracking.detectors.input_tensor import InputFormat, to_input

log = logging.getLogger("passerby")

_COCO_CLASSES: dict[int, tuple[int, Literal["softmax", "sigmoid"]]] = {
    92: (1, "softmax"),  # 91 and "no object"
    91: (1, "sigmoid"),
    80: (0, "sigmoid"),
}
"""Label of a person and activation by the number of a DETR's logits, as the models trained on COCO have them."""


class Detector(Protocol):
    """Finds people; any function of this form can be one."""

    def __call__(self, image: UInt8) -> Any:
        """RGB uint8 [H, W, 3] -> boxes in pixels of the picture: `Detections`, or any object with `xyxy`."""
        ...


class GraphDetector:
    """A detector in a file.

    Args:
        graph: the opened model.
        description: what is known of it.

    Attributes:
        decoding: name of the form of its outputs.
        threshold: least score of a box.

    Raises:
        WeightsError: outputs of no known form or of another one than the description says, or nothing says which label
            is a person, or there are fewer classes.
    """

    def __init__(self, graph: DetectorGraph, description: DetectorDescription) -> None:
        self.decoding = description.decoding or _guess_decoding(graph)
        known = DECODINGS[self.decoding]
        if not known.fits(graph.outputs, cell_count(graph.height, graph.width)) and description.decoding is not None:
            _refuse_clear_mismatch(graph, self.decoding)
        self.threshold = known.threshold if description.threshold is None else description.threshold
        self._graph, self._decode = graph, known.decode
        self._duplicates = known.duplicates if description.duplicates is None else description.duplicates
        self._context = _context(graph, description, self.decoding, self.threshold)
        _refuse_what_cannot_be_decoded(graph, self.decoding, self._context)
        self._input = _input_format(graph, description, known)

    def __call__(self, image: UInt8) -> Detections:
        """See `Detector`."""
        pixels, placement = to_input(image, self._input)
        boxes, scores = self._decode(self._graph.run(pixels), self._context)
        found = placement.to_picture(boxes)
        kept = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1]) & np.isfinite(found).all(axis=1)
        return suppress_duplicates(Detections.of(found[kept].astype(np.float32), scores[kept]), self._duplicates)


def load_detector(path: str | os.PathLike[str], *, threshold: float | None = None, threads: int = 0) -> GraphDetector:
    """Open a detector.

    Args:
        path: an OpenVINO (.xml) or ONNX (.onnx) file, or a .toml that describes one (see `DetectorDescription`).
        threshold: least score of a box; None: the description's, else what models of its form of output usually take.
        threads: of the processor; 0: all.

    Raises:
        WeightsError: missing, damaged, or outputs of no form in `DECODINGS`.
        MissingExtraError: no engine for it is installed.
    """
    file = Path(path).expanduser()
    description = describe_detector(file)
    if threshold is not None:
        description = description.model_copy(update={"threshold": threshold})
    graph = open_graph(
        file.parent / description.file, height=description.height, width=description.width, threads=threads
    )
    return GraphDetector(graph, description)


def _guess_decoding(graph: DetectorGraph) -> str:
    cells = cell_count(graph.height, graph.width)
    for name, known in DECODINGS.items():
        if known.fits(graph.outputs, cells):
            return name
    forms = "; ".join(f"{name}: {known.form}" for name, known in DECODINGS.items())
    raise WeightsError(
        f"{graph.path}: output shapes {_shown(graph)}; expected one of {forms}. Where it is one of them all the same, "
        "say decoding = ... in a description file"
    )


def _refuse_clear_mismatch(graph: DetectorGraph, decoding: str) -> None:
    """A description may name a decoding for unusual sizes, but not for another number of dimensions."""
    ranks = {"ssd": {4}, "yolox": {3}, "yolov8": {3, 4}, "detr": {3}, "nms_in_graph": {2, 3}}[decoding]
    count = 2 if decoding == "detr" else 1
    if len(graph.outputs) < count or not {len(shape) for shape in graph.outputs} <= ranks:
        raise WeightsError(f"{graph.path}: output shapes {_shown(graph)}; {decoding} has {DECODINGS[decoding].form}")


def _refuse_what_cannot_be_decoded(graph: DetectorGraph, decoding: str, context: DecodingContext) -> None:
    """Whether outputs can be read depends on their shapes and the label alone, not on what they hold."""
    try:
        DECODINGS[decoding].decode([np.zeros(shape, np.float32) for shape in graph.outputs], context)
    except (IndexError, ValueError, StopIteration) as error:
        raise WeightsError(
            f"{graph.path}: output shapes {_shown(graph)} cannot be read as {decoding} ({DECODINGS[decoding].form}) "
            f"with label = {context.label}; say another decoding or label in a description file"
        ) from error


def _shown(graph: DetectorGraph) -> str:
    return ", ".join(str(list(shape)) for shape in graph.outputs)


def _context(
    graph: DetectorGraph, description: DetectorDescription, decoding: str, threshold: float
) -> DecodingContext:
    label, activation = DECODINGS[decoding].label, description.activation
    if decoding == "detr":
        classes = next((shape[2] for shape in graph.outputs if shape[2] != 4), 4)
        coco = _COCO_CLASSES.get(classes)
        label, activation = (label, activation) if coco is None else (coco[0], activation or coco[1])
    label = description.label if description.label is not None else PERSON_LABELS.get(graph.path.stem, label)
    if label is None:
        raise WeightsError(
            f"{graph.path}: the label of a person is not known; say it in a description file: "
            f'file = "{graph.path.name}" and label = 0 (or 1, ...)'
        )
    if decoding == "detr" and activation is None:
        raise WeightsError(
            f"{graph.path}: logits of {classes} classes, not COCO's; say in a description file whether activation = "
            '"softmax" (with a last class for "no object") or "sigmoid"'
        )
    return DecodingContext(graph.height, graph.width, label, threshold, description.normalized, activation or "softmax")


def _input_format(graph: DetectorGraph, description: DetectorDescription, known: Decoding) -> InputFormat:
    scale = known.scale if description.scale is None else description.scale
    mean = known.mean if description.mean is None else description.mean
    std = known.std if description.std is None else description.std
    if graph.element in WHOLE:
        _say_what_is_not_applied(graph, description)
        scale, mean, std = 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return InputFormat(
        height=graph.height,
        width=graph.width,
        fit=description.fit or known.fit,
        colors=description.colors or known.colors,
        scale=scale,
        mean=mean,
        std=std,
    )


def _say_what_is_not_applied(graph: DetectorGraph, description: DetectorDescription) -> None:
    """As for encoders: whole numbers are the pixels, since scaled ones would be rounded to a few values."""
    given = [name for name in ("scale", "mean", "std") if getattr(description, name) is not None]
    if given:
        log.warning(
            "%s: takes whole numbers (%s), hence pixels 0..255; %s of the description not applied",
            graph.path,
            graph.element,
            ", ".join(given),
        )

"""Vectors for the boxes of one ultralytics result, read by its documented attributes; the package is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import passerby as pb


def people_of(result: Any, encoder: pb.Encoder, *, kind: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Boxes [n, 4] (left, top, right, bottom in pixels) of one class, and their vectors [n, dim].

    Args:
        result: one of the list that `model(frame)` returns: `result.orig_img` is BGR uint8 [H, W, 3];
            `result.boxes.xyxy` and `result.boxes.cls` are tensors of one row a box.
        encoder: what makes the vectors.
        kind: the class; 0 is "person" in models trained on COCO.
    """
    boxes, classes = (np.asarray(values.cpu()) for values in (result.boxes.xyxy, result.boxes.cls))
    boxes = boxes[classes.astype(int) == kind]
    return boxes, encoder.encode_boxes(np.ascontiguousarray(result.orig_img[..., ::-1]), boxes)

"""Vectors for the boxes of a `supervision.Detections`: they travel in its `data`, through filters and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import passerby as pb


def with_vectors(detections: Any, frame: npt.NDArray[np.uint8], encoder: pb.Encoder) -> Any:
    """Add `detections.data["vector"]`, float32 [n, dim].

    Args:
        detections: a `supervision.Detections`.
        frame: the picture that it belongs to, BGR uint8 [H, W, 3] as OpenCV gives it.
        encoder: what makes the vectors.
    """
    detections.data["vector"] = encoder.encode_boxes(np.ascontiguousarray(frame[..., ::-1]), detections.xyxy)
    return detections

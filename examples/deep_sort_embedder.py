"""Embeddings for deep-sort-realtime (MIT): its own embedder stays off, ours are given with the detections.

tracker = DeepSort(embedder=None)
embed = embedder(pb.load_encoder("runs/first"))
tracks = tracker.update_tracks(detections, embeds=embed(frame, detections))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import passerby as pb

Detection = tuple[Sequence[float], float, Any]
"""([left, top, width, height], confidence, class), as `DeepSort.update_tracks` takes it."""


def embedder(encoder: pb.Encoder) -> Callable[[npt.NDArray[np.uint8], Sequence[Detection]], list[Any]]:
    """A function of a frame (BGR uint8 [H, W, 3]) and its detections that gives one vector a detection."""

    def embed(frame: npt.NDArray[np.uint8], detections: Sequence[Detection]) -> list[Any]:
        left, top, width, height = np.array([box for box, _, _ in detections], np.float64).reshape(-1, 4).T
        boxes = np.stack([left, top, left + width, top + height], axis=1)
        return list(encoder.encode_boxes(np.ascontiguousarray(frame[..., ::-1]), boxes))

    return embed

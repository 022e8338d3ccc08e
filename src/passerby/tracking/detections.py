"""Boxes of one frame, as detectors give them and trackers take them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.array_types import Bool, Float32, Int64
from passerby.errors import DataError, MissingExtraError


@dataclass(frozen=True, eq=False)
class Detections:
    """People's boxes in one frame.

    Attributes:
        xyxy: float32 [n, 4], left, top, right, bottom in pixels.
        scores: float32 [n]; 1 where the source gives none.
        tracks: int64 [n], a tracker's numbers, -1 for none.
    """

    xyxy: Float32
    scores: Float32
    tracks: Int64

    @classmethod
    def of(cls, xyxy: Any, scores: Any = None, tracks: Any = None) -> Detections:
        """From anything that numpy reads; scores default to 1 and tracks to -1.

        Raises:
            DataError: no numbers, other shapes, or boxes that are not finite.
        """
        boxes = _numbers(xyxy, "boxes: expected [n, 4] (left, top, right, bottom)", np.float32)
        if not boxes.size:
            boxes = np.empty((0, 4), np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise DataError(f"boxes: expected [n, 4] (left, top, right, bottom), found shape {list(boxes.shape)}")
        n = len(boxes)
        certain = (
            np.ones(n, np.float32) if scores is None else _numbers(scores, "scores: expected [n] numbers", np.float32)
        )
        numbers = (
            np.full(n, -1, np.int64) if tracks is None else _numbers(tracks, "tracks: expected [n] numbers", np.int64)
        )
        if certain.shape != (n,) or numbers.shape != (n,):
            raise DataError(
                f"boxes: {n} boxes, {certain.shape} scores and {numbers.shape} tracks; expected one for each"
            )
        if not np.isfinite(boxes).all():
            raise DataError("boxes: expected finite numbers, found NaN or infinity")
        return cls(boxes, certain, numbers)

    @classmethod
    def from_supervision(cls, detections: Any, *, label: int | None = None) -> Detections:
        """From `supervision.Detections`, or any object with `xyxy` (and `confidence` and `tracker_id`, if it has).

        Args:
            detections: the object.
            label: take boxes of this `class_id` only, the number of the class person; None takes all.

        Raises:
            DataError: no `xyxy`, no `class_id` where a label is given, or arrays that do not fit each other.
        """
        if not hasattr(detections, "xyxy"):
            raise DataError(f"boxes: expected an object with xyxy [n, 4], found {type(detections).__name__}")
        names = ("confidence", "tracker_id", "class_id")
        scores, tracks, labels = (getattr(detections, name, None) for name in names)
        found = cls.of(detections.xyxy, scores, tracks)
        if label is None:
            return found
        if labels is None or np.shape(labels) != (len(found),):
            raise DataError(f"boxes: label={label}, but the boxes have no class_id [{len(found)}]; leave the label out")
        return found.select(np.asarray(labels) == label)

    def to_supervision(self) -> Any:
        """As `supervision.Detections` with confidence and tracker_id.

        Raises:
            MissingExtraError: supervision is not installed.
        """
        return supervision().Detections(
            xyxy=self.xyxy.astype(np.float32), confidence=self.scores, tracker_id=self.tracks.astype(int)
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    def select(self, rows: Bool | Int64) -> Detections:
        """The rows of a mask [n] or of indices, in their order."""
        return Detections(self.xyxy[rows], self.scores[rows], self.tracks[rows])


def _numbers(values: Any, expected: str, dtype: type[np.generic]) -> Any:
    """An array of numbers.

    Raises:
        DataError: rows of different lengths, or no numbers; the message begins with what was expected.
    """
    try:
        return np.asarray(values).astype(dtype)
    except (TypeError, ValueError):
        rows = isinstance(values, (list, tuple)) and len({np.size(row) for row in values}) > 1
        found = "rows of different lengths" if rows else f"{type(values).__name__} without numbers"
        raise DataError(f"{expected}, found {found}") from None


def box_overlap(first: Float32, second: Float32) -> Float32:
    """Intersection over union of every box [n, 4] with every other [m, 4]: [n, m]; 0 where a box has no area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = area[0][:, None] + area[1][None, :] - inner
    return np.asarray(np.where(union > 0, inner / np.where(union > 0, union, 1), 0), np.float32)


def suppress_duplicates(detections: Detections, overlap: float) -> Detections:
    """Greedy non-maximum suppression: of two boxes whose IoU exceeds `overlap` the less certain one goes."""
    order = np.argsort(-detections.scores, kind="stable")
    alike = box_overlap(detections.xyxy, detections.xyxy) > overlap
    kept: list[int] = []
    for row in order.tolist():
        if not alike[row, kept].any():
            kept.append(row)
    return detections.select(np.array(sorted(kept), np.int64))


def supervision() -> Any:
    """The package `supervision`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("supervision")
    except ImportError:
        raise MissingExtraError("supervision", "track", "tracking people in films") from None

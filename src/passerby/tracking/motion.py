"""Following boxes from frame to frame within one camera, by the package `trackers`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from passerby.array_types import Int64
from passerby.errors import ConfigError, MissingExtraError, unknown_name
from passerby.tracking.detections import Detections

_COUNTED_AT = 30.0  # `trackers` counts its buffer of lost tracks in frames of a film of 30 frames per second


class MotionTracker(Protocol):
    """Says which tracks the boxes of successive frames continue; anything of this form can be one."""

    def update(self, detections: Detections) -> Int64:
        """Boxes of the next frame -> track of each [n], -1 for none (yet)."""
        ...


class PackageTracker:
    """A tracker of the package `trackers`.

    Args:
        tracker: with `update(supervision.Detections)` that fills in `tracker_id`.
    """

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def update(self, detections: Detections) -> Int64:
        """See `MotionTracker`."""
        found = self._tracker.update(detections.to_supervision())
        tracks = np.full(len(detections), -1, np.int64)
        if len(found) == len(detections):
            if found.tracker_id is not None:
                tracks[:] = found.tracker_id
            return tracks
        # OC-SORT and ByteTrack may leave boxes out or put them in another order
        place = {tuple(box): row for row, box in enumerate(detections.xyxy.tolist())}
        for box, track in zip(np.asarray(found.xyxy, np.float32).tolist(), found.tracker_id, strict=True):
            if tuple(box) in place:
                tracks[place[tuple(box)]] = int(track)
        return tracks


def _sort(rate: float, threshold: float, lost_seconds: float) -> Any:
    return _trackers().SORTTracker(
        lost_track_buffer=round(lost_seconds * _COUNTED_AT),
        frame_rate=rate,
        track_activation_threshold=threshold,
        minimum_iou_threshold=0.3,
    )


def _bytetrack(rate: float, threshold: float, lost_seconds: float) -> Any:
    return _trackers().ByteTrackTracker(
        lost_track_buffer=round(lost_seconds * _COUNTED_AT),
        frame_rate=rate,
        track_activation_threshold=threshold,
        high_conf_det_threshold=min(1.0, threshold + 0.1),
        minimum_iou_threshold=0.2,
    )


def _ocsort(rate: float, threshold: float, lost_seconds: float) -> Any:
    return _trackers().OCSORTTracker(
        lost_track_buffer=round(lost_seconds * _COUNTED_AT),
        frame_rate=rate,
        high_conf_det_threshold=threshold,
    )


TRACKERS: dict[str, Callable[[float, float, float], Any]] = {"sort": _sort, "bytetrack": _bytetrack, "ocsort": _ocsort}
"""Trackers by name: (frames per second, score that starts a track, seconds without a box) -> tracker."""


def make_tracker(name: str, *, rate: float, threshold: float = 0.3, lost_seconds: float = 2.0) -> MotionTracker:
    """A new tracker for one film.

    Args:
        name: of `TRACKERS`: "sort" (Bewley et al. 2016, arXiv:1602.00763), "bytetrack" (Zhang et al. 2022,
            arXiv:2110.06864) or "ocsort" (Cao et al. 2023, arXiv:2203.14360).
        rate: frames per second of the frames that `update` sees.
        threshold: score from which a box starts a track.
        lost_seconds: how long a track lives without a box.

    Raises:
        ConfigError: an unknown name.
        MissingExtraError: the package `trackers` is not installed.
    """
    if name not in TRACKERS:
        raise ConfigError(unknown_name("tracker", name, TRACKERS))
    return PackageTracker(TRACKERS[name](rate, threshold, lost_seconds))


def _trackers() -> Any:
    try:
        return importlib.import_module("trackers")
    except ImportError:
        raise MissingExtraError("trackers", "track", "tracking people in films") from None

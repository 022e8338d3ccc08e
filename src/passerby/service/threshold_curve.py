"""What the encoder's calibration says about thresholds: the band that asks for a look, and the false-alarm curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from passerby.service.schemas import CurvePoint

MARGIN = 0.05
"""The band reaches at least this share of the threshold to either side: distances there decide little."""


def band_around(threshold: float | None, calibration: Mapping[str, Any]) -> tuple[float, float] | None:
    """The distances at which a person should look: threshold -/+ 5 %, or its bootstrap interval where that is wider.

    The interval counts for the calibrated threshold only; None without a threshold.
    """
    if threshold is None:
        return None
    low, high = threshold * (1 - MARGIN), threshold * (1 + MARGIN)
    interval = calibration.get("interval")
    if isinstance(interval, (list, tuple)) and len(interval) == 2 and calibration.get("value") == threshold:
        ends = [end for end in map(number, interval) if end is not None]
        low, high = min([low, *ends]), max([high, *ends])
    return low, high


def curve_of(calibration: Mapping[str, Any]) -> list[CurvePoint]:
    """False-alarm rate (and detection rate) by threshold, ascending, from `calibration["curve"]`.

    That is a list of {"threshold", "far", "dir"}; what is not a finite number is left out. Without a curve, the one
    calibrated point; [] before calibration.
    """
    entries = calibration.get("curve")
    points = [_point(entry) for entry in entries] if isinstance(entries, list) else []
    if not any(points):
        points = [_point({**calibration, "threshold": calibration.get("value")})]
    found = sorted((point for point in points if point is not None), key=lambda point: point.threshold)
    # a rate cannot fall while the threshold grows: a curve that says so is none
    return found if all(a.far <= b.far for a, b in pairwise(found)) else []


def _point(entry: Any) -> CurvePoint | None:
    if not isinstance(entry, Mapping):
        return None
    threshold, far = number(entry.get("threshold")), number(entry.get("far"))
    if threshold is None or far is None:
        return None
    return CurvePoint(threshold=threshold, far=far, dir=number(entry.get("dir")))


def number(value: Any) -> float | None:
    """A finite number, or None."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None

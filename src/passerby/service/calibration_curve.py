"""False-alarm and detection rates by threshold, as the encoder's calibration measured them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel


class CurvePoint(BaseModel):
    """What a threshold did on the calibration data."""

    threshold: float
    far: float
    dir: float | None = None


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
    # a rate cannot fall while the threshold grows: such a curve is not one of a calibration
    return found if all(a.far <= b.far for a, b in pairwise(found)) else []


def _point(entry: Any) -> CurvePoint | None:
    if not isinstance(entry, Mapping):
        return None
    threshold, far = finite_number(entry.get("threshold")), finite_number(entry.get("far"))
    if threshold is None or far is None:
        return None
    return CurvePoint(threshold=threshold, far=far, dir=finite_number(entry.get("dir")))


def finite_number(value: Any) -> float | None:
    """`value` as a float where it is a finite number, else None."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None

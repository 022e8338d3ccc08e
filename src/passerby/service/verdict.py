"""The verdict on a distance: known below a band around the threshold, unknown above it, a person should look inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from passerby.service.calibration_curve import finite_number

MARGIN = 0.05
"""The band reaches at least this share of the threshold to either side: distances there decide little."""
Verdict: TypeAlias = Literal["known", "unknown", "look", "uncalibrated"]


def band_around(threshold: float | None, calibration: Mapping[str, Any]) -> tuple[float, float] | None:
    """The distances at which a person should look: threshold -/+ 5 %, or its bootstrap interval where that is wider.

    The interval counts for the calibrated threshold only; None without a threshold.
    """
    if threshold is None:
        return None
    low, high = threshold * (1 - MARGIN), threshold * (1 + MARGIN)
    interval = calibration.get("interval")
    if isinstance(interval, (list, tuple)) and len(interval) == 2 and calibration.get("value") == threshold:
        ends = [end for end in map(finite_number, interval) if end is not None]
        low, high = min([low, *ends]), max([high, *ends])
    return low, high


def verdict_of(distance: float, band: tuple[float, float] | None) -> Verdict:
    """Known below the band, unknown above it, worth a look inside; uncalibrated without a band."""
    if band is None:
        return "uncalibrated"
    low, high = band
    return "known" if distance < low else "look" if distance < high else "unknown"

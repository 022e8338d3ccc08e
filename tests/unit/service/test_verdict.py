"""The band around the threshold, and the verdict on a distance."""

from __future__ import annotations

import math
from typing import Any

import pytest

from passerby.service.verdict import band_around, verdict_of


@pytest.mark.parametrize(
    ("threshold", "calibration", "band"),
    [
        (None, {"value": 1.0}, None),
        (1.0, {}, (0.95, 1.05)),
        (1.0, {"value": 1.0, "interval": [0.99, 1.2]}, (0.95, 1.2)),
        (1.0, {"value": 1.0, "interval": [0.8, 1.01]}, (0.8, 1.05)),
        (0.5, {"value": 1.0, "interval": [0.8, 1.2]}, (0.475, 0.525)),
        (1.0, {"value": 1.0, "interval": [math.nan, math.inf]}, (0.95, 1.05)),
        (1.0, {"value": 1.0, "interval": "wide"}, (0.95, 1.05)),
        (0.0, {}, (0.0, 0.0)),
    ],
)
def test_band(threshold: float | None, calibration: dict[str, Any], band: tuple[float, float] | None) -> None:
    assert band_around(threshold, calibration) == (None if band is None else pytest.approx(band))


def test_the_edges_of_the_band() -> None:
    band = (0.5, 0.75)
    found = [verdict_of(d, band) for d in (0.0, math.nextafter(0.5, 0), 0.5, math.nextafter(0.75, 0), 0.75, 2.0)]
    assert found == ["known", "known", "look", "look", "unknown", "unknown"]
    assert verdict_of(0.1, None) == "uncalibrated"

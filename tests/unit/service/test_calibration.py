"""The band around the threshold and the false-alarm curve."""

from __future__ import annotations

import math
from typing import Any

import pytest

from passerby.service.schemas import verdict_of
from passerby.service.threshold_curve import band_around, curve_of


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


def test_curve() -> None:
    points = [{"threshold": 0.9, "far": 0.2, "dir": 0.8}, {"threshold": 0.5, "far": 0.1}, {"far": 0.3}, "noise"]
    curve = curve_of({"curve": [*points, {"threshold": math.inf, "far": 1.0}]})
    assert [(p.threshold, p.far, p.dir) for p in curve] == [(0.5, 0.1, None), (0.9, 0.2, 0.8)]
    assert curve_of({}) == []
    (only,) = curve_of({"value": 0.7, "far": 0.01, "dir": 0.6})
    assert (only.threshold, only.far, only.dir) == (0.7, 0.01, 0.6)
    assert curve_of({"curve": [{"threshold": 0.5, "far": 0.2}, {"threshold": 0.6, "far": 0.1}]}) == []

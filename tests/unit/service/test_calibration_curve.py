"""The false-alarm curve of a calibration."""

from __future__ import annotations

import math

from passerby.service.calibration_curve import curve_of


def test_curve() -> None:
    points = [{"threshold": 0.9, "far": 0.2, "dir": 0.8}, {"threshold": 0.5, "far": 0.1}, {"far": 0.3}, "noise"]
    curve = curve_of({"curve": [*points, {"threshold": math.inf, "far": 1.0}]})
    assert [(p.threshold, p.far, p.dir) for p in curve] == [(0.5, 0.1, None), (0.9, 0.2, 0.8)]
    assert curve_of({}) == []
    (only,) = curve_of({"value": 0.7, "far": 0.01, "dir": 0.6})
    assert (only.threshold, only.far, only.dir) == (0.7, 0.01, 0.6)
    assert curve_of({"curve": [{"threshold": 0.5, "far": 0.2}, {"threshold": 0.6, "far": 0.1}]}) == []

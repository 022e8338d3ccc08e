"""Open-set identification: thresholds, false accepts, novelty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.evaluation.open_set.curves import OpenSetPoint, OpenSetReport, evaluate_open_set, operating_point
    from passerby.evaluation.open_set.probes import ProbeScores, search_probes
    from passerby.evaluation.open_set.thresholds import Threshold, calibrate_threshold, camera_thresholds, threshold_of

__all__ = [
    "OpenSetPoint",
    "OpenSetReport",
    "ProbeScores",
    "Threshold",
    "calibrate_threshold",
    "camera_thresholds",
    "evaluate_open_set",
    "operating_point",
    "search_probes",
    "threshold_of",
]

_CURVES = "passerby.evaluation.open_set.curves"
_PROBES = "passerby.evaluation.open_set.probes"
_THRESHOLDS = "passerby.evaluation.open_set.thresholds"

__getattr__ = lazy_names(
    __name__,
    {
        "OpenSetPoint": _CURVES,
        "OpenSetReport": _CURVES,
        "ProbeScores": _PROBES,
        "Threshold": _THRESHOLDS,
        "calibrate_threshold": _THRESHOLDS,
        "camera_thresholds": _THRESHOLDS,
        "evaluate_open_set": _CURVES,
        "operating_point": _CURVES,
        "search_probes": _PROBES,
        "threshold_of": _THRESHOLDS,
    },
)

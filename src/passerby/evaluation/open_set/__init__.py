"""Open-set identification: thresholds, false accepts, novelty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.evaluation.open_set.curves import (
        OpenSetReport,
        Threshold,
        calibrate_threshold,
        camera_thresholds,
        evaluate_open_set,
    )

__all__ = ["OpenSetReport", "Threshold", "calibrate_threshold", "camera_thresholds", "evaluate_open_set"]

__getattr__ = lazy_names(
    __name__,
    {
        "OpenSetReport": "passerby.evaluation.open_set.curves",
        "Threshold": "passerby.evaluation.open_set.curves",
        "calibrate_threshold": "passerby.evaluation.open_set.curves",
        "camera_thresholds": "passerby.evaluation.open_set.curves",
        "evaluate_open_set": "passerby.evaluation.open_set.curves",
    },
)

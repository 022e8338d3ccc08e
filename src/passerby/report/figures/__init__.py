"""Figures of the evidence: plain arrays in, a matplotlib `Figure` out.

Only matplotlib's object interface is used: no pyplot, no global state, so figures may be drawn in several threads.
Every function takes a `Theme`; a page shows the `LIGHT` or the `DARK` drawing, as its reader's system asks.
"""

from __future__ import annotations

from passerby.report.figures.distributions import MARKERS, camera_matrix, distance_histogram, identity_map
from passerby.report.figures.encoding import to_png, to_svg
from passerby.report.figures.line_plots import (
    cmc_curves,
    dir_far_curve,
    precision_recall,
    roc_curve,
    threshold_curves,
    training_curves,
)
from passerby.report.figures.themes import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "MARKERS",
    "Theme",
    "camera_matrix",
    "cmc_curves",
    "dir_far_curve",
    "distance_histogram",
    "identity_map",
    "precision_recall",
    "roc_curve",
    "threshold_curves",
    "to_png",
    "to_svg",
    "training_curves",
]

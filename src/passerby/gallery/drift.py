"""Whether a person has moved away from what is enrolled: other clothes, a beard, or sightings of somebody else.

The newest five sightings are compared with the ten or more before them: *drift* is when the median of their distances
is above the 0.9 quantile of those. Were all distances drawn alike, three of five would be above it in 0.9 % of cases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEWEST = 30
"""Sightings that are looked at."""
_NOW = 5
_BEFORE = 10
_QUANTILE = 0.9


def has_drifted(distances: Sequence[float]) -> bool:
    """Whether the newest distances are larger than those before; False where there are fewer than fifteen.

    Args:
        distances: of the sightings of one identity to it, the oldest first.
    """
    if len(distances) < _NOW + _BEFORE:
        return False
    now, before = np.asarray(distances[-_NOW:]), np.asarray(distances[:-_NOW])
    return bool(np.median(now) > np.quantile(before, _QUANTILE))

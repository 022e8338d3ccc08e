"""Whether a person, or all that a camera sees, has moved away from what is enrolled.

A person does by other clothes, a beard, or sightings of somebody else; a camera by other light, a new angle, dirt.
The newest five sightings are compared with the ten or more before them: *drift* is when the median of their distances
is above the 0.9 quantile of those. Were all distances drawn alike, three of five would be above it in 0.9 % of cases.
Of a camera the newest twenty are compared with the forty or more before them, whoever was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEWEST = 30
"""Sightings that are looked at."""
NEWEST_OF_CAMERA = 120
_NOW, _BEFORE = 5, 10
_NOW_OF_CAMERA, _BEFORE_OF_CAMERA = 20, 40
_QUANTILE = 0.9


def has_drifted(distances: Sequence[float]) -> bool:
    """Whether the newest distances are larger than those before; False where there are fewer than fifteen.

    Args:
        distances: of the sightings of one identity to it, the oldest first.
    """
    return _is_farther(distances, _NOW, _BEFORE)


def has_camera_drifted(distances: Sequence[float]) -> bool:
    """The same of one camera's sightings of all people; False where there are fewer than sixty.

    Args:
        distances: of its sightings to the people who were seen, the oldest first.
    """
    return _is_farther(distances, _NOW_OF_CAMERA, _BEFORE_OF_CAMERA)


def _is_farther(distances: Sequence[float], newest: int, least: int) -> bool:
    if len(distances) < newest + least:
        return False
    now, before = np.asarray(distances[-newest:]), np.asarray(distances[:-newest])
    return bool(np.median(now) > np.quantile(before, _QUANTILE))

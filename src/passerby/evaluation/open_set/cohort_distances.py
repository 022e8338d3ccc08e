"""Distances judged relative to a cohort: the next nearest people, who say how near a probe comes to anybody.

With d the distance to the nearest identity, and m the mean of the squared distances to the `COHORT` next nearest ones
(of fewer, where there are no more; d^2 itself, where there is nobody else):

    r = sqrt(max(0, 2 + d^2 - m)).

Between unit vectors d^2 = 2 - 2 s, so that r^2 = 2 - 2 (s - mean of s over the cohort): the similarity minus the
cohort's mean. A probe that resembles many people has to come nearer to one of them. Who is the nearest stays the same.
A smaller cohort is nearer on average, so that r is larger: on the safe side.
"""

from __future__ import annotations

import math

from passerby.array_types import Float64

COHORT = 20
"""People of a cohort."""


def cohort_level(distances: Float64) -> float:
    """M of one probe, from its distances to the nearest identities, ascending, `COHORT` + 1 of them or fewer."""
    others = distances[1 : COHORT + 1] if len(distances) > 1 else distances[:1]
    return float((others**2).mean())


def relative_distance(distance: float, level: float) -> float:
    """R of one probe."""
    return math.sqrt(max(0.0, 2.0 + distance**2 - level))


def distance_of(relative: float, level: float) -> float:
    """The distance below which (strictly) r is below `relative`; 0 where it never is."""
    if relative <= 0:
        return 0.0
    return math.sqrt(max(0.0, relative**2 - 2.0 + level))

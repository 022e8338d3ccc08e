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
from collections.abc import Iterable

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances
from passerby.evaluation.open_set.nearest_identities import LabelledVectors

COHORT = 20
"""People of a cohort."""
_TILE = 2**22


def cohort_level(distances: Float64) -> float:
    """M of one probe, from its distances to the nearest identities, ascending, `COHORT` + 1 of them or fewer."""
    others = distances[1 : COHORT + 1] if len(distances) > 1 else distances[:1]
    return float((others**2).mean())


def relative_distance(distance: float, level: float) -> float:
    """R of one probe."""
    return math.sqrt(max(0.0, 2.0 + distance**2 - level))


def distance_of(relative: float, level: float) -> float:
    """The distance below which (strictly) r is below `relative`."""
    return math.sqrt(max(0.0, relative**2 - 2.0 + level))


def relative_impostors(
    probes: LabelledVectors, nearest: Float32, searched: int, conservative: float = 0.0
) -> ImpostorDistances:
    """What impostors met, as relative distances.

    Args:
        probes: observations that play impostors, [n].
        nearest: of `nearest_distances`, [n, COHORT + 1].
        searched: how many other identities a search saw.
        conservative: as in `ImpostorDistances`.
    """
    squares = nearest.astype(np.float64) ** 2
    first, others = squares[:, 0], squares[:, 1:]
    there = np.isfinite(others)
    count = there.sum(axis=1)
    level = np.where(count > 0, np.where(there, others, 0.0).sum(axis=1) / np.maximum(count, 1), first)
    found = np.isfinite(first)
    inside = 2.0 + np.where(found, first, 0.0) - np.where(found, level, 0.0)
    distances = np.where(found, np.sqrt(np.maximum(inside, 0.0)), np.inf)
    return ImpostorDistances(distances, probes.identities, searched, conservative)


def nearest_distances(
    probes: LabelledVectors, enrolled: Iterable[LabelledVectors], *, exclude_camera: bool, count: int = COHORT + 1
) -> Float32:
    """Euclidean distances of unit vectors to the nearest observation of the `count` nearest other identities.

    Args:
        probes: observations, [n].
        enrolled: whom they are compared with, in parts; all observations of an identity are in one part, ascending by
            identity.
        exclude_camera: leave out what the probe's own camera took.
        count: number of identities.

    Returns:
        [n, count], ascending; infinity where there are no more.
    """
    best = np.full((len(probes), count), np.inf, np.float32)
    for part in enrolled:
        people, starts = np.unique(part.identities, return_index=True)
        step = max(1, _TILE // max(len(part), 1))
        for top in range(0, len(probes), step):
            rows = slice(top, top + step)
            squares = 2.0 - 2.0 * (probes.vectors[rows] @ part.vectors.T)
            own = probes.cameras[rows]
            if exclude_camera:
                squares[(own[:, None] == part.cameras) & (own[:, None] >= 0)] = np.inf
            found = np.minimum.reduceat(squares, starts, axis=1)
            place = np.searchsorted(people, probes.identities[rows]).clip(0, len(people) - 1)
            mine = np.flatnonzero(people[place] == probes.identities[rows])
            found[mine, place[mine]] = np.inf
            both = np.concatenate([best[rows], found], axis=1)
            best[rows] = np.partition(both, count - 1, axis=1)[:, :count]
    return np.sqrt(np.maximum(np.sort(best, axis=1), 0.0))

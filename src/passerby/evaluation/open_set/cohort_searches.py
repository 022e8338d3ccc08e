"""What impostors meet relative to a cohort (`cohort_distances`): the nearest people of many observations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from passerby.array_types import Float32
from passerby.evaluation.open_set.cohort_distances import COHORT
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances
from passerby.evaluation.open_set.nearest_identities import LabelledVectors

_TILE = 2**22  # distances that are held at once


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

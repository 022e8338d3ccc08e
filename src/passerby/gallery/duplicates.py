"""Pairs of enrolled identities that may be one person: the nearest ones, for somebody to look at.

One person enrolled under two names moves the threshold so far down that most of the detection rate is lost, and leaving
out near pairs where nobody is enrolled twice lets three to five times the asked share of strangers in. So pairs are
listed, a person judges them, and only what was judged changes the calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances
from passerby.evaluation.open_set.impostor_fit import LEAST_PEOPLE
from passerby.evaluation.open_set.impostor_tail import fit_tail
from passerby.evaluation.p_values import p_value_words
from passerby.gallery.calibration import Calibrator
from passerby.gallery.pair_judgements import judged_pairs
from passerby.gallery.repeated_pictures import SAME_PICTURE
from passerby.gallery.stores.protocol import Store

_EXPECTED = 3.0
"""So many pairs would be listed where nobody is enrolled twice, on average and at most."""
LEAST_TO_COMPARE = LEAST_PEOPLE
"""Among fewer people only one picture under two names is found."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two identities that are suspiciously near to each other.

    Attributes:
        identity: the one that was enrolled first.
        other: the later one.
        distance: between the two nearest observations of theirs.
        p_value: share of different people who come this near to somebody in a gallery of this size, by the tail that
            the bulk of the gallery's distances gives. Pairs of the same person do not count into it.
    """

    identity: str
    other: str
    distance: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.identity} and {self.other}: distance {self.distance:.4f}, {p_value_words(self.p_value)}"


def find_duplicates(store: Store, calibrator: Calibrator) -> list[DuplicatePair]:
    """Pairs to look at, the most suspicious first; those judged to be different people are left out.

    Of the enrolled identities the 4,096 that calibrate are compared with all others. Where people are too few for a
    tail (fewer than five), only those of one and the same picture are found, with a p-value of 0.
    """
    rows = calibrator.rows()
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for kind in ("identify", "observe"):
        impostors = rows.impostors(kind, "images", calibrator.read_vectors)
        made = rows.searches["images"]
        p_values = _tail_p_values(impostors)
        if p_values is None:
            p_values = np.where(impostors.distances < SAME_PICTURE, 0.0, np.inf)
        nearest = made.nearest[kind == "identify"]
        ends = np.stack([made.probes.identities, nearest.identities[:, 0]], axis=1)
        near = (nearest.identities[:, 0] >= 0) & (p_values * impostors.people <= _EXPECTED)
        # an observation that was compared within its own camera counts in the search among all cameras
        near &= nearest.distances[:, 0] == impostors.distances
        for one, other, distance, p in zip(
            *_pairs(ends[near]), nearest.distances[near, 0].tolist(), p_values[near].tolist(), strict=True
        ):
            found[one, other] = min(found.get((one, other), (2.0, 2.0)), (p, distance))
    judged = judged_pairs(store)
    names = store.names({identity for pair in found for identity in pair})
    return [
        DuplicatePair(names[one], names[other], distance, p)
        for (one, other), (p, distance) in sorted(found.items(), key=lambda item: item[1])
        if one in names and other in names and judged.get((one, other)) is None
    ]


def _pairs(ends: Int64) -> tuple[list[int], list[int]]:
    ordered = np.sort(ends, axis=1)
    return ordered[:, 0].tolist(), ordered[:, 1].tolist()


def _tail_p_values(impostors: ImpostorDistances) -> Float64 | None:
    """The fitted tail's share at each distance [n]; None where there is none."""
    order = np.argsort(impostors.distances, kind="stable")
    distances, weights = impostors.distances[order], impostors.weights[order]
    kept = np.isfinite(distances) & (distances > 0)
    if impostors.people < LEAST_PEOPLE or not weights[kept].sum() > 0:
        return None
    tail = fit_tail(distances[kept], (weights[kept] / weights[kept].sum())[None], impostors.people)
    if not tail.fits.all():
        return None
    at = np.where(np.isfinite(impostors.distances), np.maximum(impostors.distances, 1e-6), 1e6)
    return np.asarray(np.where(np.isfinite(impostors.distances), tail.p_value(at)[0], 1.0))

"""Impostor distances of a gallery without labels: each enrolled identity in turn is a person whom nobody enrolled.

For each of its observations the distance to the nearest *other* identity is what an impostor's probe would meet, in
this gallery, at this size, with these cameras. One identity is missing in such a search: it is one among G - 1, not G.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Bool, Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.nearest_identities import (
    LabelledVectors,
    NearestIdentities,
    search_nearest_identities,
)

MOST_IDENTITIES = 4096
"""So many identities calibrate at most; all are searched."""
LEAST_FRAMES = 3
"""A tracklet's mean vector is of so many frames at least."""
_LEAST_SHARE = 0.5


@dataclass(frozen=True)
class ImpostorDistances:
    """What impostors met.

    Attributes:
        distances: float64 [n], to the nearest other identity; infinity where nothing could be compared.
        identities: int64 [n], whose observation it was.
        searched: how many other identities a search saw, G - 1.
        conservative: share of the observations (each person counting once) that were compared with their own camera's,
            since leaving that camera out left too few.
    """

    distances: Float64
    identities: Int64
    searched: int
    conservative: float = 0.0

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def people(self) -> int:
        """How many identities have an observation here."""
        return len(np.unique(self.identities))

    @property
    def weights(self) -> Float64:
        """One share for each person, divided among the person's observations, [n]; they sum to 1."""
        return person_weights(self.identities)


def person_weights(identities: Int64) -> Float64:
    """1 / (people * observations of the row's person), [n]."""
    people, row, count = np.unique(identities, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(people) * count[row]))


def impostor_distances(
    observations: LabelledVectors,
    enrolled: LabelledVectors | None = None,
    *,
    exclude_camera: bool = True,
    metric: str = "euclidean",
    one_person: Iterable[tuple[int, int]] = (),
    most: int = MOST_IDENTITIES,
) -> ImpostorDistances:
    """Distance of each observation to the nearest other identity.

    Where leaving out the observation's camera leaves fewer than half of the other identities to compare with
    (everyone was enrolled by one camera), all cameras count for it: such distances are smaller than those between
    cameras, so a threshold from them is conservative.

    Args:
        observations: what plays the impostors, [n]: single images, or `pseudo_tracklets` for tracklet probes.
        enrolled: whom they are compared with; None: the observations themselves. Identities that `observe` made
            belong in neither.
        exclude_camera: True as `identify` searches, False as `observe` does.
        metric: "euclidean" or "cosine".
        one_person: pairs of identities that somebody declared to be the same person enrolled twice. They count as one.
            Nothing else is ever dropped: where there are no duplicates, dropping the nearest pairs raises the false
            accept rate to 3 to 5 % for 1 % asked.
        most: identities that calibrate; which ones follows from their numbers alone.

    Raises:
        EmbeddingError: vectors that cannot be compared, `most` below 1.
        ConfigError: an unknown metric.
    """
    gallery = observations if enrolled is None else enrolled
    same = list(one_person)
    observations, gallery = _as_one(observations, same), _as_one(gallery, same)
    probes = observations.select(calibrating(observations.identities, most))
    too_few, searched = too_few_of_other_cameras(probes, gallery)
    narrow = ~too_few if exclude_camera else np.zeros(len(probes), dtype=np.bool_)
    distances = np.empty(len(probes))
    for rows, other_cameras in ((narrow, True), (~narrow, False)):
        found = search_nearest_identities(probes.select(rows), gallery, metric=metric, exclude_camera=other_cameras)
        distances[rows] = found.distances[:, 0]
    share = float((person_weights(probes.identities) * ~narrow).sum()) if exclude_camera and len(probes) else 0.0
    return ImpostorDistances(distances, probes.identities, searched, share)


def chosen_distances(
    probes: LabelledVectors,
    gallery: LabelledVectors,
    narrow: NearestIdentities | None,
    wide: NearestIdentities,
    *,
    too_few: tuple[Bool, int] | None = None,
) -> ImpostorDistances:
    """`impostor_distances` of searches that are kept up to date.

    Args:
        probes: the observations, [n].
        gallery: whom they were compared with; of its vectors nothing is read.
        narrow: the searches that left out each probe's camera, [n]; None: no camera is left out.
        wide: the searches among all cameras, [n].
        too_few: what `too_few_of_other_cameras` found, where it is known already.
    """
    fallback, searched = too_few_of_other_cameras(probes, gallery) if too_few is None else too_few
    if narrow is None:
        return ImpostorDistances(wide.distances[:, 0], probes.identities, searched)
    distances = np.where(fallback, wide.distances[:, 0], narrow.distances[:, 0])
    share = float((person_weights(probes.identities) * fallback).sum()) if len(probes) else 0.0
    return ImpostorDistances(distances, probes.identities, searched, share)


def too_few_of_other_cameras(probes: LabelledVectors, gallery: LabelledVectors) -> tuple[Bool, int]:
    """Where other cameras than the probe's saw fewer than half of the other identities, [n].

    And how many identities a search with one left out sees.
    """
    identities, only = _only_cameras(gallery)
    own = identities.searchsorted(probes.identities).clip(0, max(len(identities) - 1, 0))
    enrolled = identities[own] == probes.identities if len(identities) else np.zeros(len(probes), dtype=np.bool_)
    others = max(len(identities) + len(np.unique(probes.identities[~enrolled])) - 1, 0)
    if len(identities) == 0:
        return np.zeros(len(probes), dtype=np.bool_), others
    cameras, hidden = np.unique(only, return_counts=True)
    at = cameras.searchsorted(probes.cameras).clip(0, len(cameras) - 1)
    known = probes.cameras >= 0
    lost = np.where(known & (cameras[at] == probes.cameras), hidden[at], 0)
    lost = lost - (known & enrolled & (only[own] == probes.cameras))
    return np.asarray(others - lost < _LEAST_SHARE * others), others


def _only_cameras(gallery: LabelledVectors) -> tuple[Int64, Int64]:
    """The identities, ascending, and the single camera that saw each (-1: several did, or it is not known)."""
    cameras = np.unique(gallery.cameras)
    # one sort of one number for each observation: this runs at every change of a gallery
    pairs = _different(gallery.identities * len(cameras) + cameras.searchsorted(gallery.cameras))
    person, camera = np.divmod(pairs, max(len(cameras), 1))
    first = np.flatnonzero(np.diff(person, prepend=-1))
    count = np.diff(np.append(first, len(person)))
    return person[first], np.where(count == 1, cameras[camera[first]], -1) if len(first) else first


def pseudo_tracklets(observations: LabelledVectors, *, frames: int = LEAST_FRAMES) -> LabelledVectors:
    """One vector for each identity and camera: the normalised mean, where there are enough observations.

    A mean of several frames lies nearer to everybody than single images do, so that impostor distances of images
    accept twice the asked share of tracklets; these calibrate tracklet probes.

    Args:
        observations: single images, [n].
        frames: so many observations at least; identities seen less often by a camera are left out there.

    Returns:
        The means, by identity and camera; none where no identity has enough observations in one camera.

    Raises:
        EmbeddingError: `frames` below 1.
    """
    if frames < 1:
        raise EmbeddingError(f"frames: expected 1 or more, found {frames}")
    keys = np.stack([observations.identities, observations.cameras], axis=1)
    pairs, group, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(pairs), observations.vectors.shape[1]))
    np.add.at(sums, group.reshape(-1), observations.vectors.astype(np.float64))
    lengths = np.linalg.norm(sums, axis=1)
    kept = (count >= frames) & (lengths > 0)
    means = (sums[kept] / lengths[kept, None]).astype(np.float32)
    return LabelledVectors(means, pairs[kept, 0], pairs[kept, 1])


def calibrating(identities: Int64, most: int = MOST_IDENTITIES) -> Bool:
    """Rows of the identities that calibrate, [n]: the `most` with the smallest hash of their number.

    Whether an identity is among them changes only by those that come or go, never by order or chance.

    Raises:
        EmbeddingError: `most` below 1.
    """
    if most < 1:
        raise EmbeddingError(f"most: expected 1 identity or more, found {most}")
    people = _different(identities)
    if len(people) <= most:
        return np.ones(len(identities), dtype=np.bool_)
    return np.isin(identities, people[np.argpartition(_hashes(people), most)[:most]])


def few_of_each(identities: Int64, numbers: Int64, most: int) -> Bool:
    """Of each identity's rows the `most` with the smallest hash of their number, [n]; others' rows change nothing."""
    order = np.lexsort((_hashes(numbers), identities))
    ascending = identities[order]
    first = np.flatnonzero(np.diff(ascending, prepend=ascending[:1] - 1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order[rank < most]] = True
    return kept


def _different(numbers: Int64) -> Int64:
    """The different numbers, ascending; quick where they nearly ascend, as those of a gallery do."""
    ascending = np.sort(numbers, kind="stable")
    return ascending[np.flatnonzero(np.diff(ascending, prepend=ascending[:1] - 1))]


def _hashes(numbers: Int64) -> Int64:
    """Splitmix64's mixing function (Steele, Lea and Flood, OOPSLA 2014): one-to-one, and looks random."""
    z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def _as_one(rows: LabelledVectors, pairs: list[tuple[int, int]]) -> LabelledVectors:
    """Identities that were declared to be one person under their smallest number."""
    if not pairs:
        return rows
    smallest: dict[int, int] = {}

    def find(identity: int) -> int:
        while smallest.get(identity, identity) != identity:
            identity = smallest[identity]
        return identity

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        smallest[high] = low
    labels = rows.identities.copy()
    for identity in smallest:
        labels[rows.identities == identity] = find(identity)
    return LabelledVectors(rows.vectors, labels, rows.cameras)

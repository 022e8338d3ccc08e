"""The searches that a gallery's calibration rests on, kept up to date while identities come and go.

Each enrolled identity in turn is a person whom nobody enrolled: its observations are searched among all other enrolled
identities. Identities that `observe` made take no part. All of it is derived from the store: nothing is written, and
what was forgotten is gone with the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from passerby.array_types import Bool, Float32, Int64
from passerby.evaluation.open_set.cohort_distances import COHORT
from passerby.evaluation.open_set.cohort_searches import nearest_distances, relative_impostors
from passerby.evaluation.open_set.encoder_impostor_laws import Kind, Probes
from passerby.evaluation.open_set.impostor_distances import (
    MOST_IDENTITIES,
    ImpostorDistances,
    calibrating,
    chosen_distances,
    few_of_each,
    person_weights,
    pseudo_tracklets,
    too_few_of_other_cameras,
)
from passerby.evaluation.open_set.nearest_identities import LabelledVectors, NearestIdentities
from passerby.gallery.stores.enrolled_rows import EnrolledRows

ReadVectors: TypeAlias = Callable[[Int64], Float32]
"""From ids of observations to their vectors [n, D]."""
_CHUNK = 65_536
MOST_PAIRS = 2**32
"""About so many pairs of an impostor's and an enrolled observation are compared at most: minutes, not hours."""


@dataclass(frozen=True)
class ImpostorSearches:
    """Observations (or tracklets) of the identities that calibrate, and their nearest other identities.

    Attributes:
        probes: what is searched, by identity.
        nearest: by whether the probe's camera is left out, as far as that was asked for, [n] each.
        too_few: of `too_few_of_other_cameras`; None: not asked for yet.
    """

    probes: LabelledVectors
    nearest: dict[bool, NearestIdentities]
    too_few: tuple[Bool, int] | None = None


@dataclass(frozen=True)
class CalibrationRows:
    """The enrolled observations at one moment, and the searches that were made of them.

    Attributes:
        rows: of the store; identities that are one person have one number.
        searches: by what is searched, as far as that was asked for.
    """

    rows: EnrolledRows
    searches: dict[Probes, ImpostorSearches]

    @cached_property
    def chosen(self) -> Bool:
        """Rows of the identities that calibrate, [n]."""
        return calibrating(self.rows.identities, MOST_IDENTITIES)

    @cached_property
    def most_of_one(self) -> int | None:
        """So many observations (or tracklets) of an identity play impostors at most; None: all that anybody has.

        Fewer than all only where people times observations are very many; a power of two, so that it seldom changes.
        """
        _, observations = np.unique(self.rows.identities[self.chosen], return_counts=True)
        if int(observations.sum()) * len(self.rows) <= MOST_PAIRS:
            return None
        return int(2 ** np.floor(np.log2(max(MOST_PAIRS / (len(observations) * len(self.rows)), 1))))

    def _probes(self, probes: Probes, read: ReadVectors) -> LabelledVectors:
        return _probes(self.rows, self.chosen, self.most_of_one, probes, read)

    def impostors(self, kind: Kind, probes: Probes, read: ReadVectors) -> ImpostorDistances:
        """What impostors met; makes the searches that it needs.

        Args:
            kind: "identify" leaves out the probe's camera, "observe" does not.
            probes: single images, or the means of an identity's images of one camera.
            read: gives vectors of observations.
        """
        made = self.searches.get(probes)
        if made is None:
            made = ImpostorSearches(self._probes(probes, read), {})
        gallery = _labels(self.rows)
        narrow = kind == "identify"
        nearest = dict(made.nearest)
        # a person whom few other cameras saw is searched among all cameras
        if made.too_few is None:
            made = replace(made, too_few=too_few_of_other_cameras(made.probes, gallery))
        too_few = made.too_few
        everywhere = not narrow or bool(too_few is not None and too_few[0].any())
        if narrow and True not in nearest:
            nearest[True] = search(self.rows, made.probes, True, read)
        if everywhere and False not in nearest:
            nearest[False] = search(self.rows, made.probes, False, read)
        self.searches[probes] = replace(made, nearest=nearest)
        wide = nearest[not everywhere]  # not read where nobody is searched among all cameras
        return chosen_distances(made.probes, gallery, nearest[True] if narrow else None, wide, too_few=too_few)

    @cached_property
    def compared_share(self) -> float:
        """Share of what is enrolled that "identify" compares an impostor's with, on average over people.

        It leaves out the impostor's own camera, where that leaves enough. Counted are pairs of a person and a camera:
        images of one person by one camera resemble each other, and ten bring few more chances than one.
        """
        gallery = _labels(self.rows)
        probes = gallery.select(self.chosen)
        too_few, others = too_few_of_other_cameras(probes, gallery)
        if not others:
            return 1.0
        cameras, row = np.unique(gallery.cameras, return_inverse=True)
        pairs = np.unique(gallery.identities * len(cameras) + row)
        share = np.bincount(pairs % len(cameras), minlength=len(cameras)) / len(pairs)
        left_out = np.where(too_few | (probes.cameras < 0), 0.0, share[row[self.chosen]])
        return 1.0 - float((person_weights(probes.identities) * left_out).sum())

    def has_searched(self, kind: Kind, probes: Probes) -> bool:
        """Whether `impostors` has been asked for, so that it costs little now."""
        return probes in self.searches and (kind == "identify") in self.searches[probes].nearest

    def relative_impostors(self, kind: Kind, probes: Probes, read: ReadVectors) -> ImpostorDistances:
        """`impostors` with distances relative to a cohort; searched anew whenever it is asked for."""
        observations = self._probes(probes, read)
        too_few, searched = too_few_of_other_cameras(observations, _labels(self.rows))
        fallback = too_few if kind == "identify" else np.ones(len(observations), np.bool_)
        nearest = np.full((len(observations), COHORT + 1), np.inf, np.float32)
        for rows, exclude_camera in ((~fallback, True), (fallback, False)):
            if rows.any():
                parts = _by_identity(self.rows, read)
                nearest[rows] = nearest_distances(observations.select(rows), parts, exclude_camera=exclude_camera)
        share = float((person_weights(observations.identities) * too_few).sum()) if kind == "identify" else 0.0
        return relative_impostors(observations, nearest, searched, share)

    def updated(self, rows: EnrolledRows, read: ReadVectors) -> CalibrationRows:
        """After changes of the store: searches go on from what is known; the new ones are compared with all."""
        if rows.offsets is not self.rows.offsets:
            return CalibrationRows(rows, {})
        if rows.same_rows(self.rows):
            return CalibrationRows(rows, self.searches)
        changed = CalibrationRows(rows, {})
        if not self.searches or changed.most_of_one != self.most_of_one:
            return changed
        gone, added = _difference(self.rows, rows)
        moved = np.unique(self.rows.identities[gone])
        # what is left of an identity that lost something counts as new
        new = added | np.isin(rows.identities, moved)
        vectors = _labelled(rows, new, read)
        touched = np.union1d(moved, rows.identities[added])
        for probes, made in self.searches.items():
            changed.searches[probes] = _updated(made, changed, vectors, moved, touched, probes, read)
        return changed


def search(rows: EnrolledRows, probes: LabelledVectors, exclude_camera: bool, read: ReadVectors) -> NearestIdentities:
    """The two nearest other identities of each probe among all rows, which are read in parts."""
    n = len(probes)
    found = NearestIdentities(np.full((n, 2), np.inf), np.full((n, 2), -1, np.int64), np.full(n, 2, np.int64))
    for start in range(0, len(rows) if n else 0, _CHUNK):
        part = slice(start, start + _CHUNK)
        found = found.with_enrolled(
            probes, _labelled(rows, part, read), metric="euclidean", exclude_camera=exclude_camera
        )
    return found


def _updated(
    made: ImpostorSearches,
    after: CalibrationRows,
    new: LabelledVectors,
    moved: Int64,
    touched: Int64,
    probes: Probes,
    read: ReadVectors,
) -> ImpostorSearches:
    rows, chosen = after.rows, after.chosen
    calibrate = np.unique(rows.identities[chosen])
    kept = np.isin(made.probes.identities, calibrate) & ~np.isin(made.probes.identities, touched)
    old = made.probes.select(kept)
    anew = chosen & ~np.isin(rows.identities, np.unique(old.identities))
    fresh = _probes(rows, anew, after.most_of_one, probes, read)
    joined = _joined(old, fresh)
    nearest = {}
    for exclude_camera, known in made.nearest.items():
        found = known.select(kept).without(moved)
        if len(new):
            found = found.with_enrolled(old, new, metric="euclidean", exclude_camera=exclude_camera)
        stale = found.stale
        if stale.any():
            found = found.replace(stale, search(rows, old.select(stale), exclude_camera, read))
        nearest[exclude_camera] = found.append(search(rows, fresh, exclude_camera, read))
    return ImpostorSearches(joined, nearest)


def _probes(rows: EnrolledRows, chosen: Bool, most: int | None, probes: Probes, read: ReadVectors) -> LabelledVectors:
    """The observations of chosen rows, or the tracklets that they make; of each identity at most so many."""
    if probes == "images":
        places = np.flatnonzero(chosen)
        if most is not None:
            places = places[few_of_each(rows.identities[places], rows.ids[places], most)]
        return _labelled(rows, places, read)
    images = LabelledVectors(read(rows.ids[chosen]), rows.identities[chosen], rows.cameras[chosen])
    means = pseudo_tracklets(images)
    if most is not None:
        means = means.select(few_of_each(means.identities, means.cameras, most))
    if rows.offsets is None or not len(means):
        return means
    return replace(means, vectors=rows.offsets.apply(means.vectors, means.cameras))


def _labelled(rows: EnrolledRows, chosen: Bool | Int64 | slice, read: ReadVectors) -> LabelledVectors:
    """Observations as they are compared."""
    vectors, cameras = read(rows.ids[chosen]), rows.cameras[chosen]
    if rows.offsets is not None and len(cameras):
        vectors = rows.offsets.apply(vectors, cameras)
    return LabelledVectors(vectors, rows.identities[chosen], cameras)


def _by_identity(rows: EnrolledRows, read: ReadVectors) -> Iterator[LabelledVectors]:
    """All observations, ascending by identity, in parts that no identity is divided among."""
    order = np.argsort(rows.identities, kind="stable")
    ascending = rows.identities[order]
    start = 0
    while start < len(order):
        end = min(start + _CHUNK, len(order))
        end = int(np.searchsorted(ascending, ascending[end - 1], side="right"))
        yield _labelled(rows, order[start:end], read)
        start = end


def _joined(one: LabelledVectors, other: LabelledVectors) -> LabelledVectors:
    if not len(one) or not len(other):
        return other if not len(one) else one
    return LabelledVectors(
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.identities, other.identities]),
        np.concatenate([one.cameras, other.cameras]),
    )


def _labels(rows: EnrolledRows) -> LabelledVectors:
    """Rows without their vectors, where only labels are read."""
    return LabelledVectors(np.zeros((len(rows), 1), np.float32), rows.identities, rows.cameras)


def _difference(old: EnrolledRows, new: EnrolledRows) -> tuple[Bool, Bool]:
    """Which rows of `old` are gone, and which of `new` were added; a row of another identity or camera is both."""
    if not len(old):
        return np.zeros(0, np.bool_), np.ones(len(new), np.bool_)
    order = np.argsort(old.ids, kind="stable")
    places = order[np.minimum(np.searchsorted(old.ids, new.ids, sorter=order), len(old) - 1)]
    same = (
        (old.ids[places] == new.ids) & (old.identities[places] == new.identities) & (old.cameras[places] == new.cameras)
    )
    gone = np.ones(len(old), np.bool_)
    gone[places[same]] = False
    return gone, ~same

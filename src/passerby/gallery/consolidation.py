"""Which unknowns are one person: what `observe` made twice, found when more has been seen.

Tracklets (the vector of a sighting, or the observations that it stored) are compared by the neighbours they share, and
joined while the mean similarity of what is joined is large enough, the most similar first; never two that one camera
saw at once. The mean vector of each camera is removed where enough people were seen by it. Tracklets are joined anew,
not identities: one that `observe` gave to the wrong unknown goes to the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.errors import GalleryRequestError
from passerby.gallery import changes
from passerby.gallery.argument_checks import is_number
from passerby.gallery.means_in_force import means_in_force
from passerby.gallery.sightings import own_observations
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord, SightingWhere
from passerby.search.jaccard import jaccard_similarity
from passerby.search.linking import Join, join_groups

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

LEAST_SIMILARITY = 0.4
_K1, _K2 = 6, 2
_PEOPLE_FOR_MEANS = 50  # of one camera; a mean of fewer holds too much of single people


@dataclass(frozen=True)
class SameUnknown:
    """Two unknowns that seem to be one person.

    Attributes:
        into: name of the identity that stays, the older one.
        other: name of the other.
        similarity: mean similarity of the tracklets by which they were joined, 0 to 1.
    """

    into: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Consolidation:
    """What `Gallery.consolidate` found; printing it shows it.

    Attributes:
        joined: unknowns that seem to be one person, the most similar first; each pair builds upon those before it.
        moved: sightings that seem to be of another unknown than the one they were given to.
        unknowns: how many there were.
    """

    joined: tuple[SameUnknown, ...]
    moved: tuple[int, ...]
    unknowns: int

    def __str__(self) -> str:
        lines = [f"{pair.into} and {pair.other} (similarity {pair.similarity:.3f})" for pair in self.joined]
        left = self.unknowns - len(self.joined)
        return "\n".join(
            [
                *lines,
                f"{self.unknowns:,} unknowns are {left:,} people; {len(self.moved):,} sightings are of another of them",
            ]
        )


@dataclass(frozen=True)
class Tracklet:
    """What one camera saw of one person at a stretch.

    Attributes:
        vector: unit vector [D].
        owner: identity that has it.
        camera: where.
        sighting: id; 0 for observations without one.
        observations: ids of those that belong to it.
        anchor: whether it holds the first observation of its owner, by which that one is found.
    """

    vector: Float32
    owner: int
    camera: str | None
    sighting: int
    observations: Int64
    anchor: bool


def without_camera_means(tracklets: Sequence[Tracklet], means: CameraStatistics | None = None) -> Float32:
    """Unit vectors [n, D] without the mean of their camera: as the gallery compares, where it subtracts means.

    Elsewhere without those of the tracklets, where at least 50 identities were seen by a camera.
    """
    vectors = np.stack([one.vector for one in tracklets])
    if means is not None:
        return means.apply(vectors, [one.camera or "" for one in tracklets])
    owners, cameras = np.array([one.owner for one in tracklets]), np.array([one.camera or "" for one in tracklets])
    for camera in np.unique(cameras):
        rows = cameras == camera
        if len(np.unique(owners[rows])) >= _PEOPLE_FOR_MEANS:
            vectors[rows] -= vectors[rows].mean(axis=0)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def seen_at_once(presence: Sequence[tuple[int, str, float, float]]) -> set[tuple[int, int]]:
    """Pairs of tracklets (by number) that one camera saw at once: two people."""
    apart: set[tuple[int, int]] = set()
    there: dict[str, list[tuple[float, int]]] = {}
    for identity, camera, start, end in sorted(presence, key=lambda one: one[2]):
        present = [(until, other) for until, other in there.get(camera, []) if until >= start]
        apart |= {(min(identity, other), max(identity, other)) for _, other in present if other != identity}
        there[camera] = [*present, (end, identity)]
    return apart


def consolidate(store: Store, *, least: float, apply: bool, actor: str) -> Consolidation:
    """Propose which unknowns are one person, or make them one; see `Gallery.consolidate`.

    Raises:
        GalleryRequestError: `least` is not above 0 and up to 1.
    """
    if not is_number(least) or not 0 < least <= 1:
        raise GalleryRequestError(f"least: expected a similarity above 0 and up to 1, found {least!r}")
    records = store.identities()
    unknown = [i for i, record in records.items() if record.unknown and record.merged_into is None]
    tracklets, presence = tracklets_of(store, unknown)
    if len(tracklets) < 2:
        return Consolidation((), (), len(unknown))
    pairs = jaccard_similarity(without_camera_means(tracklets, means_in_force(store)), k1=_K1, k2=_K2)
    joined, target = _joined(tracklets, join_groups(
        pairs, range(len(tracklets)), seen_at_once(presence), least=least
    ))  # fmt: skip
    moved = [one for place, one in enumerate(tracklets) if target[place] not in (None, one.owner) and not one.anchor]
    goals = {id(one): target[place] for place, one in enumerate(tracklets)}
    result = Consolidation(
        tuple(SameUnknown(records[a].name, records[b].name, similarity) for a, b, similarity in joined),
        tuple(one.sighting for one in moved if one.sighting and _final(joined, one.owner) != goals[id(one)]),
        len(unknown),
    )
    if apply:
        living = {identity: records[identity] for identity in unknown}
        _apply(store, living, [(one, goals[id(one)]) for one in moved], joined, actor)
    return result


def _final(joined: Sequence[tuple[int, int, float]], identity: int) -> int:
    """The identity that this one becomes part of."""
    for into, other, _ in joined:
        identity = into if identity == other else identity
    return identity


def _joined(
    tracklets: Sequence[Tracklet], joins: Sequence[Join]
) -> tuple[list[tuple[int, int, float]], list[int | None]]:
    """Pairs of identities whose anchors come together, and of each tracklet the identity whose anchors it is with.

    A tracklet that is with no anchor stays where it is: None.
    """
    head: dict[int, int | None] = {i: one.owner if one.anchor else None for i, one in enumerate(tracklets)}
    members = {i: [i] for i in head}
    pairs = []
    for join in joins:
        one, other = head[join.into], head.pop(join.other)
        members[join.into] += members.pop(join.other)
        if one is not None and other is not None and one != other:
            pairs.append((min(one, other), max(one, other), join.similarity))
        head[join.into] = other if one is None else one if other is None else min(one, other)
    target: list[int | None] = [None] * len(tracklets)
    for root, inside in members.items():
        for place in inside:
            target[place] = head[root]
    return pairs, target


def _apply(
    store: Store,
    records: Mapping[int, IdentityRecord],
    moved: Sequence[tuple[Tracklet, int | None]],
    joined: Sequence[tuple[int, int, float]],
    actor: str,
) -> None:
    """Move tracklets, then merge each identity into the one that stays: one batch, which is undone as one.

    A store need not show a transaction its own changes, so it is noted here who has what by now.
    """
    batch = int(moved[0][0].owner) if moved else joined[0][1] if joined else 0
    now = dict(records)
    columns = store.observations(sorted(records))
    held = {identity: columns.ids[columns.identities == identity] for identity in records}
    for one, goal in moved:
        if goal is not None and _final(joined, one.owner) != goal:
            changes.reassign(store, one.owner, goal, one.observations, one.sighting, actor, batch=batch)
            held[one.owner] = np.setdiff1d(held[one.owner], one.observations)
            held[goal] = np.union1d(held[goal], one.observations)
    for into, other, _ in joined:
        target, source = now[_final(joined, into)], now[other]
        changes.merge(store, target, source, actor, batch=batch, observations=held[other])
        now[target.id] = replace(target, expires=changes.earlier_date(target, source))


def tracklets_of(store: Store, identities: Sequence[int]) -> tuple[list[Tracklet], list[tuple[int, str, float, float]]]:
    """Tracklets of identities, and (tracklet, camera, start, end) of when which camera saw them.

    A sighting without a vector counts as a presence of its owner's anchor.
    """
    columns = store.observations(identities)
    stored = store.vectors(columns.ids) if len(columns) else np.zeros((0, store.settings().dim), np.float32)
    first = dict(zip(columns.identities[::-1].tolist(), columns.ids[::-1].tolist(), strict=True))
    used = np.zeros(len(columns), np.bool_)
    found: list[Tracklet] = []
    presence: list[tuple[int | None, int, str, float, float]] = []
    seen = store.sightings.select(SightingWhere(frozenset(identities)))
    with_vector = [one.id for one in seen if one.has_vector]
    vectors = dict(zip(with_vector, store.sightings.vectors(with_vector), strict=True))
    for one in seen:
        places = np.flatnonzero(np.isin(columns.ids, own_observations(one, columns.ids)))
        used[places] = True
        vector = vectors[one.id] if one.has_vector else stored[places].sum(axis=0)
        length = 0.0 if vector is None else float(np.linalg.norm(vector))
        number = None
        if vector is not None and length > 0:
            ids, number = columns.ids[places], len(found)
            unit = np.asarray(vector / length, np.float32)
            anchor = first.get(one.identity) in ids.tolist()
            found.append(Tracklet(unit, one.identity, one.camera, one.id, ids, anchor))
        if one.camera is not None and one.start is not None and one.end is not None:
            presence.append((number, one.identity, one.camera, one.start, one.end))
    for row in np.flatnonzero(~used).tolist():
        owner, ids = int(columns.identities[row]), columns.ids[row : row + 1]
        found.append(Tracklet(stored[row], owner, columns.cameras[row], 0, ids, first[owner] == int(ids[0])))
    anchors = {one.owner: number for number, one in enumerate(found) if one.anchor}
    return found, [
        (anchors[owner] if number is None else number, camera, start, end)
        for number, owner, camera, start, end in presence
        if number is not None or owner in anchors
    ]

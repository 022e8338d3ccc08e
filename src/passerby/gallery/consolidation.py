"""Which unknowns are one person: what `observe` made twice, found when more has been seen.

Tracklets (the observations that one sighting stored, or its vector) are compared by the neighbours they share. Two
identities are joined while the mean similarity of their tracklets is large enough, the most similar first; never two
that one camera saw at once. The mean vector of each camera is removed where enough people were seen by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.errors import GalleryRequestError
from passerby.gallery import changes
from passerby.gallery.sightings import own_observations
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import SightingWhere
from passerby.search.jaccard import jaccard_similarity
from passerby.search.linking import Join, join_groups

LEAST_SIMILARITY = 0.2
_K1, _K2 = 8, 2
_PEOPLE_FOR_MEANS = 50  # of one camera; a mean of fewer holds too much of single people


@dataclass(frozen=True)
class SameUnknown:
    """Two unknowns that seem to be one person.

    Attributes:
        into: name of the identity that stays, the older one.
        other: name of the other.
        similarity: mean similarity of their tracklets, 0 to 1.
    """

    into: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Tracklets:
    """Tracklets of identities: unit vectors [n, D], owners [n], cameras [n], first and last moments [n] (NaN: none)."""

    vectors: Float32
    owners: Sequence[int]
    cameras: Sequence[str | None]
    starts: Float64
    ends: Float64


def joins(tracklets: Tracklets, presence: Sequence[tuple[int, str, float, float]], *, least: float) -> list[Join]:
    """Identities that seem to be one person, the most similar first; each join builds upon those before it.

    Args:
        tracklets: of identities that may be joined.
        presence: (identity, camera, start, end) of all their sightings, those without a vector included.
        least: mean similarity of the tracklets of two identities, 0 to 1.
    """
    if len(tracklets.owners) < 2:
        return []
    pairs = jaccard_similarity(without_camera_means(tracklets), k1=_K1, k2=_K2)
    return join_groups(pairs, tracklets.owners, seen_at_once(presence), least=least)


def without_camera_means(tracklets: Tracklets) -> Float32:
    """Unit vectors without the mean of their camera, where at least 50 identities were seen by it."""
    vectors = tracklets.vectors.copy()
    owners, cameras = np.asarray(tracklets.owners), np.array([c or "" for c in tracklets.cameras])
    for camera in np.unique(cameras):
        rows = cameras == camera
        if len(np.unique(owners[rows])) >= _PEOPLE_FOR_MEANS:
            vectors[rows] -= vectors[rows].mean(axis=0)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def seen_at_once(presence: Sequence[tuple[int, str, float, float]]) -> set[tuple[int, int]]:
    """Pairs of identities that one camera saw at once: two people."""
    apart: set[tuple[int, int]] = set()
    there: dict[str, list[tuple[float, int]]] = {}
    for identity, camera, start, end in sorted(presence, key=lambda one: one[2]):
        present = [(until, other) for until, other in there.get(camera, []) if until >= start]
        apart |= {(min(identity, other), max(identity, other)) for _, other in present if other != identity}
        there[camera] = [*present, (end, identity)]
    return apart


def consolidate(store: Store, *, least: float, apply: bool, actor: str) -> list[SameUnknown]:
    """Propose which unknowns are one person, or make them one; see `Gallery.consolidate`."""
    if not 0 < least <= 1:
        raise GalleryRequestError(f"least: expected a similarity above 0 and up to 1, found {least!r}")
    records = store.identities()
    unknown = [i for i, record in records.items() if record.unknown and record.merged_into is None]
    tracklets, presence = tracklets_of(store, unknown)
    found = joins(tracklets, presence, least=least)
    proposed = [SameUnknown(records[j.into].name, records[j.other].name, j.similarity) for j in found]
    batch: int | None = None
    for join in found if apply else []:
        into, other = store.identity(join.into), store.identity(join.other)
        if into is not None and other is not None:
            batch = batch or int(join.other)
            changes.merge(store, into, other, actor, batch=batch)
    return proposed


def tracklets_of(store: Store, identities: Sequence[int]) -> tuple[Tracklets, list[tuple[int, str, float, float]]]:
    """Tracklets of identities, and when which camera saw them."""
    columns = store.observations(identities)
    stored = store.vectors(columns.ids) if len(columns) else np.zeros((0, store.settings().dim), np.float32)
    sightings = store.sightings.select(SightingWhere(frozenset(identities)))
    vectors: list[Float32] = []
    owners: list[int] = []
    cameras: list[str | None] = []
    spans: list[tuple[float, float]] = []
    used = np.zeros(len(columns), np.bool_)
    for one in sightings:
        places = np.flatnonzero(np.isin(columns.ids, own_observations(one, columns.ids)))
        used[places] = True
        vector = store.sightings.vector(one.id) if one.has_vector else stored[places].sum(axis=0)
        length = 0.0 if vector is None else float(np.linalg.norm(vector))
        if vector is not None and length > 0:
            vectors.append(np.asarray(vector / length, np.float32))
            owners.append(one.identity)
            cameras.append(one.camera)
            nowhere = float("nan")
            spans.append((nowhere if one.start is None else one.start, nowhere if one.end is None else one.end))
    for row in np.flatnonzero(~used).tolist():
        vectors.append(stored[row])
        owners.append(int(columns.identities[row]))
        cameras.append(columns.cameras[row])
        spans.append((float(columns.times[row]), float(columns.times[row])))
    presence = [
        (one.identity, one.camera, one.start, one.end)
        for one in sightings
        if one.camera is not None and one.start is not None and one.end is not None
    ]
    times = np.array(spans, np.float64).reshape(-1, 2)
    matrix = np.stack(vectors) if vectors else np.zeros((0, stored.shape[1]), np.float32)
    return Tracklets(matrix, owners, cameras, times[:, 0], times[:, 1]), presence

"""New observations of known and new identities. Called inside `store.transaction()`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.gallery import identities
from passerby.gallery.changes import describe, write_event
from passerby.gallery.stores.protocol import Store
from passerby.plain_names import plain_key


@dataclass(frozen=True)
class NewObservations:
    """Columns of observations to store: unit vectors [n, D], cameras, times (NaN: not known), thumbnails."""

    vectors: Float32
    cameras: Sequence[str | None]
    times: npt.NDArray[np.float64]
    thumbnails: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    def rows(self, chosen: Int64) -> NewObservations:
        """Some of them."""
        return NewObservations(
            self.vectors[chosen],
            [self.cameras[row] for row in chosen.tolist()],
            self.times[chosen],
            [self.thumbnails[row] for row in chosen.tolist()],
        )

    def store(self, store: Store, owners: Int64) -> Int64:
        """Store them as observations of these identities [n]; their ids [n]."""
        return store.add_observations(owners, self.vectors, self.cameras, self.times, self.thumbnails)


def enroll(
    store: Store,
    name: str,
    observations: NewObservations,
    *,
    notes: str | None,
    consent: str | None,
    expires: float | None,
    actor: str,
) -> Int64:
    """Add observations to the identity of this name, which is made if there is none; their ids [n]."""
    record = identities.find_or_none(store, name)
    created = record is None
    if record is None:
        record = identities.new_identity(store, name)
    describe(store, record, notes, consent, expires, actor, logged=not created)
    return _add(store, "enroll", record.id, observations, created, actor)


def enroll_many(
    store: Store,
    names: Sequence[str],
    observations: NewObservations,
    *,
    notes: str | None = None,
    consent: str | None = None,
    expires: float | None = None,
    actor: str,
) -> Int64:
    """Store observations of many identities; one entry of the log for each identity, tied together as one batch."""
    if not names:
        return np.empty(0, np.int64)
    owners: dict[str, tuple[int, bool]] = {}
    made: dict[str, tuple[int, bool]] = {}
    different = list(dict.fromkeys(names))
    known = identities.find_all(store, different)
    for name in different:
        record, key = known.get(name), plain_key(name)
        if record is None and key in made:
            owners[name] = made[key]
            continue
        created = record is None
        owner = identities.new_identity(store, name) if record is None else record
        describe(store, owner, notes, consent, expires, actor, logged=not created)
        owners[name] = (owner.id, created)
        if created:
            made[key] = owners[name]
    ids_of_owners = np.array([owners[name][0] for name in names], np.int64)
    ids = observations.store(store, ids_of_owners)
    counts = dict(zip(*(column.tolist() for column in np.unique(ids_of_owners, return_counts=True)), strict=True))
    shared = {"first": int(ids[0]), "last": int(ids[-1]), "batch": int(ids[0])}
    for identity, created in dict(owners.values()).items():
        write_event(store, "enroll", identity, actor, detail={**shared, "count": counts[identity], "created": created})
    return ids


def _add(store: Store, action: str, identity: int, observations: NewObservations, created: bool, actor: str) -> Int64:
    """Store observations of one identity and write so to the log; their ids [n]."""
    if not len(observations):
        return np.empty(0, np.int64)
    ids = observations.store(store, np.full(len(observations), identity, np.int64))
    detail = {"first": int(ids[0]), "last": int(ids[-1]), "count": len(ids), "created": created}
    write_event(store, action, identity, actor, detail=detail)
    return ids

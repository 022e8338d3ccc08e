"""Identities of a store: by name, new ones, and what is known of each."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from passerby.errors import NotInGalleryError
from passerby.gallery import drift
from passerby.gallery.result_types import Identity
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord, SightingSummary


def find_or_none(store: Store, name: str) -> IdentityRecord | None:
    """The identity of this name; if it was merged into another, that other one."""
    return find_all(store, [name]).get(name)


def find_all(store: Store, names: Sequence[str]) -> dict[str, IdentityRecord]:
    """Like `find_or_none`, for many names at once."""
    found = {}
    for name, known in store.find(names).items():
        record: IdentityRecord | None = known
        while record is not None and record.merged_into is not None:
            record = store.identity(record.merged_into)
        if record is not None:
            found[name] = record
    return found


def find(store: Store, name: str) -> IdentityRecord:
    """Like `find_or_none`, but there must be one.

    Raises:
        GalleryError: there is none.
    """
    record = find_or_none(store, name)
    if record is None:
        raise NotInGalleryError(f"{store.location}: no identity {name!r} (names are case-sensitive)")
    return record


def final_identity(records: Mapping[int, IdentityRecord], record: IdentityRecord) -> IdentityRecord:
    """The identity that this one was merged into at last; itself, if into none."""
    while record.merged_into is not None and record.merged_into in records:
        record = records[record.merged_into]
    return record


def expired(store: Store, moment: float) -> list[IdentityRecord]:
    """Identities whose retention date has come."""
    return [
        record
        for record in store.identities().values()
        if record.merged_into is None and record.expires is not None and record.expires <= moment
    ]


def standing(store: Store) -> list[IdentityRecord]:
    """Identities that were not merged into another."""
    return [record for record in store.identities().values() if record.merged_into is None]


def new_identity(store: Store, name: str, *, unknown: bool = False) -> IdentityRecord:
    """Store an identity that has no observations yet."""
    record = IdentityRecord(0, name, unknown=unknown, created=clock.time())
    return replace(record, id=store.put_identity(record))


def new_unknown(store: Store) -> IdentityRecord:
    """The next "unknown-N"; numbers are never used twice."""
    settings = store.settings()
    number = settings.unknowns + 1
    while store.find([f"unknown-{number}"]):
        number += 1
    store.change_settings(replace(settings, unknowns=number))
    return new_identity(store, f"unknown-{number}", unknown=True)


def summaries(store: Store, identities: Sequence[int] | None = None) -> list[Identity]:
    """Identities with what is known of their observations and sightings, in the order in which they were made."""
    records = store.identities() if identities is None else store.relatives(identities)
    columns = store.observations(identities)
    sightings = store.sightings.summaries(identities)
    distances = store.sightings.recent_distances(identities, newest=drift.NEWEST)
    order = np.argsort(columns.identities, kind="stable")
    owners, starts = np.unique(columns.identities[order], return_index=True)
    rows = dict(zip(owners.tolist(), np.split(order, starts[1:]), strict=False))
    aliases: dict[int, list[str]] = {}
    for record in records.values():
        if record.merged_into is not None:
            aliases.setdefault(final_identity(records, record).id, []).append(record.name)
    chosen = sorted(records) if identities is None else identities
    return [
        replace(
            _summary(
                records[i], columns.cameras, columns.times, rows.get(i, order[:0]), sightings.get(i), aliases.get(i, [])
            ),
            drift=drift.has_drifted(distances.get(i, [])),
        )
        for i in chosen
        if records[i].merged_into is None
    ]


def _summary(
    record: IdentityRecord,
    cameras: tuple[str | None, ...],
    times: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    sightings: SightingSummary | None,
    aliases: list[str],
) -> Identity:
    seen = sightings or SightingSummary(0, frozenset(), None, None)
    moments = [moment for moment in times[rows].tolist() if moment == moment]
    moments += [moment for moment in (seen.first, seen.last) if moment is not None]
    return Identity(
        id=record.id,
        name=record.name,
        observations=len(rows),
        cameras=tuple(sorted(seen.cameras | {name for row in rows.tolist() if (name := cameras[row]) is not None})),
        first_seen=min(moments, default=None),
        last_seen=max(moments, default=None),
        unknown=record.unknown,
        notes=record.notes,
        consent=record.consent,
        expires=record.expires,
        created=record.created,
        aliases=tuple(aliases),
        sightings=seen.count,
    )

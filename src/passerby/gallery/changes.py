"""Changes of what is known: descriptions, merging, splitting, forgetting; each writes the log in its transaction.

All functions are called inside `store.transaction()`.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from passerby.array_types import Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.events import Event
from passerby.gallery.identities import final_identity, new_identity, new_unknown
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord


def write_event(
    store: Store,
    action: str,
    identity: int | None,
    actor: str,
    *,
    other: int | None = None,
    detail: Mapping[str, Any] | None = None,
    private: Mapping[str, Any] | None = None,
) -> int:
    """Write one entry; its id."""
    return store.append_event(
        Event(0, clock.time(), action, actor, identity, other, detail=detail or {}, private=private or {})
    )


def describe(
    store: Store,
    record: IdentityRecord,
    notes: str | None,
    consent: str | None,
    expires: float | None,
    actor: str,
    *,
    name: str | None = None,
    logged: bool = True,
) -> None:
    """Change name, notes, consent or retention; what is None stays.

    Raises:
        GalleryRequestError: the new name belongs to another identity.
    """
    changed = record
    if name is not None and name != record.name:
        if store.find([name]):
            raise GalleryRequestError(f"{store.location}: there is an identity {name!r} already; merge the two instead")
        changed = replace(changed, name=name, unknown=False)
    if notes is not None:
        changed = replace(changed, notes=notes)
    if consent is not None:
        changed = replace(changed, consent=consent)
    if expires is not None:
        changed = replace(changed, expires=None if expires == float("inf") else expires)
    if changed == record:
        return
    store.put_identity(changed)
    if logged:
        private = {"name": record.name, "notes": record.notes, "consent": record.consent}
        write_event(
            store,
            "update",
            record.id,
            actor,
            detail={"expires": record.expires, "unknown": record.unknown},
            private=private,
        )


def set_threshold(store: Store, threshold: float | None, actor: str) -> None:
    """Change the gallery's own threshold."""
    settings = store.settings()
    store.change_settings(replace(settings, threshold=threshold))
    write_event(store, "threshold", None, actor, detail={"old": settings.threshold, "new": threshold})


def merge(store: Store, target: IdentityRecord, source: IdentityRecord, actor: str) -> None:
    """Move all observations of `source` to `target`; the earlier of two retention dates holds for both.

    Raises:
        GalleryRequestError: both are one identity.
    """
    if target.id == source.id:
        raise GalleryRequestError(f"{store.location}: {target.name!r} cannot be merged into itself")
    moved = store.observations([source.id]).ids
    store.move_observations(moved, target.id)
    store.put_identity(replace(source, merged_into=target.id))
    dates = [date for date in (target.expires, source.expires) if date is not None]
    if dates and min(dates) != target.expires:
        store.put_identity(replace(target, expires=min(dates)))
    detail = {"moved": _ranges(moved), "expires": target.expires}
    write_event(store, "merge", target.id, actor, other=source.id, detail=detail)


def split(store: Store, record: IdentityRecord, observations: list[int], name: str | None, actor: str) -> int:
    """Move some observations to a new identity; its id.

    Raises:
        GalleryRequestError: observations of others, or all of its own, or the name belongs to another identity.
    """
    wanted = np.unique(np.asarray(observations, np.int64))
    own = store.observations([record.id]).ids
    foreign = np.setdiff1d(wanted, own)
    if not len(wanted) or len(foreign):
        found = f"observation {foreign[0]} is not one of its own" if len(foreign) else "none were given"
        raise GalleryRequestError(
            f"{store.location}: split {record.name!r}: expected ids of its observations, but {found}"
        )
    if len(wanted) == len(own):
        raise GalleryRequestError(
            f"{store.location}: split {record.name!r}: all of its observations; rename it instead"
        )
    if name is not None and store.find([name]):
        raise GalleryRequestError(f"{store.location}: there is an identity {name!r} already")
    made = new_unknown(store) if name is None else new_identity(store, name)
    # what was agreed for the whole holds for the part
    store.put_identity(replace(made, consent=record.consent, expires=record.expires))
    store.move_observations(wanted, made.id)
    write_event(store, "split", record.id, actor, other=made.id, detail={"moved": _ranges(wanted)})
    return made.id


def forget(store: Store, identities: Sequence[int], action: str, actor: str) -> int:
    """Erase identities and all that was merged into them; number of observations erased."""
    if not identities:
        return 0
    records = store.identities()
    merged = [other.id for other in records.values() if final_identity(records, other).id in set(identities)]
    everything = sorted({*identities, *merged})
    observations = store.observations(everything).ids
    store.erase_observations(observations)
    store.erase_identities(everything)
    for identity in identities:
        write_event(store, action, identity, actor)
    return len(observations)


def _ranges(ids: Int64) -> list[list[int]]:
    """Sorted ids as [first, last] pairs."""
    if not len(ids):
        return []
    breaks = np.flatnonzero(np.diff(ids) != 1)
    return [
        [int(first), int(last)]
        for first, last in zip(ids[np.r_[0, breaks + 1]], ids[np.r_[breaks, len(ids) - 1]], strict=True)
    ]


def ids_from_ranges(ranges: Sequence[Sequence[int]]) -> Int64:
    """Ids from [first, last] pairs."""
    parts = [np.arange(first, last + 1, dtype=np.int64) for first, last in ranges]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)

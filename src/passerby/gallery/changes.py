"""What changes a gallery, in terms of its store: every change writes the log in the same transaction.

All functions that change something are called inside `store.transaction()`.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.errors import GalleryRequestError, NotInGalleryError
from passerby.gallery.records import (
    Event,
    Floats,
    Identity,
    IdentityRecord,
    Integers,
    Moment,
    to_seconds,
)
from passerby.gallery.stores.protocol import Store

CHANGES = frozenset({"enroll", "observe", "import", "merge", "split", "update", "threshold", "forget", "purge"})
"""Actions that change what the gallery knows; other entries of the log only note that something happened."""
_ADDING = frozenset({"enroll", "observe", "import"})
_FINAL = frozenset({"forget", "purge"})


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


def retention(expires: Moment | None) -> float | None:
    """A retention date in seconds; inf for "never", None for "as it was"."""
    if expires is None:
        return None
    return float("inf") if expires == "never" else to_seconds(expires, what="expires")


def log(
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


# -- make and describe ---------------------------------------------------------------------------------------------


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


def describe(
    store: Store,
    record: IdentityRecord,
    notes: str | None,
    consent: str | None,
    expires: float | None,
    actor: str,
    *,
    name: str | None = None,
    log: bool = True,
) -> None:
    """Change name, notes, consent or retention; what is None stays."""
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
    if log:
        private = {"name": record.name, "notes": record.notes, "consent": record.consent}
        _log(store, "update", record.id, actor, detail=_plain(record), private=private)


_log = log  # `describe` has an argument of that name


def _plain(record: IdentityRecord) -> dict[str, Any]:
    return {"expires": record.expires, "unknown": record.unknown}


def set_threshold(store: Store, threshold: float | None, actor: str) -> None:
    """Change the gallery's own threshold."""
    settings = store.settings()
    store.change_settings(replace(settings, threshold=threshold))
    log(store, "threshold", None, actor, detail={"old": settings.threshold, "new": threshold})


def log_enroll(store: Store, action: str, identity: int, ids: Integers, created: bool, actor: str) -> None:
    """Note which observations an identity was given."""
    detail = {"first": int(ids[0]), "last": int(ids[-1]), "count": len(ids), "created": created}
    log(store, action, identity, actor, detail=detail)


def log_seen(store: Store, identity: int, camera: str | None, time: float, distance: float, actor: str) -> None:
    """Note that a known person was seen, without storing the vector."""
    detail = {"camera": camera, "time": None if time != time else float(time), "distance": round(distance, 6)}
    log(store, "seen", identity, actor, detail=detail)


def enroll_many(
    store: Store,
    names: Sequence[str],
    vectors: Floats,
    cameras: Sequence[str | None],
    times: npt.NDArray[np.float64],
    thumbnails: Sequence[bytes | None],
    actor: str,
) -> Integers:
    """Store rows of many identities; one entry of the log for each identity, tied together as one batch."""
    owners: dict[str, tuple[int, bool]] = {}
    different = list(dict.fromkeys(names))
    known = find_all(store, different)
    for name in different:
        record = known.get(name)
        owners[name] = (record.id, False) if record is not None else (new_identity(store, name).id, True)
    identities = np.array([owners[name][0] for name in names], np.int64)
    ids = store.add_observations(identities, vectors, cameras, times, thumbnails)
    counts = dict(zip(*(column.tolist() for column in np.unique(identities, return_counts=True)), strict=True))
    shared = {"first": int(ids[0]), "last": int(ids[-1]), "batch": int(ids[0])}
    for identity, created in dict(owners.values()).items():
        log(store, "enroll", identity, actor, detail={**shared, "count": counts[identity], "created": created})
    return ids


# -- merge, split, forget ------------------------------------------------------------------------------------------


def merge(store: Store, target: IdentityRecord, source: IdentityRecord, actor: str) -> None:
    """Move all observations of `source` to `target`; the earlier of two retention dates holds for both."""
    if target.id == source.id:
        raise GalleryRequestError(f"{store.location}: {target.name!r} cannot be merged into itself")
    moved = store.observations([source.id]).ids
    store.move_observations(moved, target.id)
    store.put_identity(replace(source, merged_into=target.id))
    dates = [date for date in (target.expires, source.expires) if date is not None]
    if dates and min(dates) != target.expires:
        store.put_identity(replace(target, expires=min(dates)))
    detail = {"moved": _ranges(moved), "expires": target.expires}
    log(store, "merge", target.id, actor, other=source.id, detail=detail)


def split(store: Store, record: IdentityRecord, observations: list[int], name: str | None, actor: str) -> int:
    """Move some observations to a new identity; its id."""
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
    log(store, "split", record.id, actor, other=made.id, detail={"moved": _ranges(wanted)})
    return made.id


def forget(store: Store, identities: Sequence[int], action: str, actor: str) -> int:
    """Erase identities and all that was merged into them; number of observations erased."""
    if not identities:
        return 0
    records = store.identities()
    merged = [other.id for other in records.values() if _root(records, other).id in set(identities)]
    everything = sorted({*identities, *merged})
    observations = store.observations(everything).ids
    store.erase_observations(observations)
    store.erase_identities(everything)
    for identity in identities:
        log(store, action, identity, actor)
    return len(observations)


def _root(records: Mapping[int, IdentityRecord], record: IdentityRecord) -> IdentityRecord:
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


# -- undo ----------------------------------------------------------------------------------------------------------


def undo(store: Store, event_id: int | None, actor: str) -> Event:
    """Take a change back; the event that was undone."""
    events = [
        event
        for event in store.events()
        if event.action in CHANGES and not event.undone and not event.detail.get("migrated")
    ]
    event = _event_to_undo(store, events, event_id)
    if event.action in _FINAL:
        raise GalleryRequestError(
            f"{store.location}: event {event.id} ({event.action}) cannot be undone: the data is gone"
        )
    batch = event.detail.get("batch")
    group = [other for other in events if batch is not None and other.detail.get("batch") == batch] or [event]
    touched = {identity for one in group for identity in (one.identity, one.other)}
    for later in events:
        if later.id <= max(one.id for one in group):
            break
        if event.action == later.action == "threshold" or {later.identity, later.other} & (touched - {None}):
            raise GalleryRequestError(
                f"{store.location}: event {event.id} ({event.action}) cannot be undone: event {later.id} "
                f"({later.action}) came later and concerns the same; undo that one first"
            )
    for one in group:
        store.mark_undone(one.id)
    if event.action in _ADDING:
        for identity in dict.fromkeys(one.identity for one in group):
            _undo_adding(store, [one for one in group if one.identity == identity])
    else:
        _REVERSALS[event.action](store, event)
    log(store, "undo", event.identity, actor, other=event.other, detail={"event": event.id})
    return event


def _event_to_undo(store: Store, events: list[Event], event_id: int | None) -> Event:
    if event_id is None:
        if not events:
            raise GalleryRequestError(f"{store.location}: nothing to undo")
        return events[0]
    for event in events:
        if event.id == event_id:
            return event
    raise NotInGalleryError(f"{store.location}: no change {event_id} in the log, or it was undone already")


def _undo_adding(store: Store, events: Sequence[Event]) -> None:
    """Erase what these events added to one identity, and the identity if they made it and nothing else is left."""
    identity = _subject(store, events[0])
    own = store.observations([identity.id]).ids
    added = np.zeros(len(own), np.bool_)
    for event in events:
        added |= (own >= event.detail["first"]) & (own <= event.detail["last"])
    store.erase_observations(own[added])
    if any(event.detail["created"] for event in events) and added.all():
        store.erase_identities([identity.id])


def _undo_merge(store: Store, event: Event) -> None:
    target, source = _subject(store, event), _record(store, event.other)
    moved = _from_ranges(event.detail["moved"])
    store.move_observations(np.intersect1d(moved, store.observations([target.id]).ids), source.id)
    _bring_back(store, event, replace(source, merged_into=None))
    if target.expires != event.detail["expires"]:
        store.put_identity(replace(target, expires=event.detail["expires"]))


def _undo_split(store: Store, event: Event) -> None:
    record, made = _subject(store, event), _record(store, event.other)
    own = store.observations([made.id]).ids
    moved = np.intersect1d(_from_ranges(event.detail["moved"]), own)
    store.move_observations(moved, record.id)
    if len(moved) == len(own):
        store.erase_identities([made.id])


def _undo_update(store: Store, event: Event) -> None:
    _bring_back(store, event, replace(_subject(store, event), **event.private, **event.detail))


def _bring_back(store: Store, event: Event, record: IdentityRecord) -> None:
    """Store an identity as it was, unless its name is another's by now."""
    owner = store.find([record.name]).get(record.name)
    if owner is not None and owner.id != record.id:
        found = find(store, record.name)
        second = "" if found.id == owner.id else f" (as a second name of {found.name!r})"
        raise GalleryRequestError(
            f"{store.location}: event {event.id} ({event.action}) cannot be undone: the name {record.name!r} was given "
            f"to somebody else since{second}; rename or forget that one first, or `merge` the two"
        )
    store.put_identity(record)


def _undo_threshold(store: Store, event: Event) -> None:
    store.change_settings(replace(store.settings(), threshold=event.detail["old"]))


_REVERSALS = {
    "merge": _undo_merge,
    "split": _undo_split,
    "update": _undo_update,
    "threshold": _undo_threshold,
}


def _subject(store: Store, event: Event) -> IdentityRecord:
    return _record(store, event.identity)


def _record(store: Store, identity: int | None) -> IdentityRecord:
    record = store.identity(identity or 0)
    if record is None:
        raise GalleryRequestError(f"{store.location}: the identity of this change was forgotten; it cannot be undone")
    return record


def _ranges(ids: Integers) -> list[list[int]]:
    """Sorted ids as [first, last] pairs."""
    if not len(ids):
        return []
    breaks = np.flatnonzero(np.diff(ids) != 1)
    return [
        [int(first), int(last)]
        for first, last in zip(ids[np.r_[0, breaks + 1]], ids[np.r_[breaks, len(ids) - 1]], strict=True)
    ]


def _from_ranges(ranges: Sequence[Sequence[int]]) -> Integers:
    parts = [np.arange(first, last + 1, dtype=np.int64) for first, last in ranges]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


# -- look ----------------------------------------------------------------------------------------------------------


def summaries(store: Store, identities: Sequence[int] | None = None) -> list[Identity]:
    """Identities with what is known of their observations, in the order in which they were made."""
    records = store.identities()
    columns = store.observations(identities)
    order = np.argsort(columns.identities, kind="stable")
    owners, starts = np.unique(columns.identities[order], return_index=True)
    rows = dict(zip(owners.tolist(), np.split(order, starts[1:]), strict=False))
    aliases: dict[int, list[str]] = {}
    for record in records.values():
        if record.merged_into is not None:
            aliases.setdefault(_root(records, record).id, []).append(record.name)
    chosen = sorted(records) if identities is None else identities
    return [
        _summary(records[i], columns.cameras, columns.times, rows.get(i, order[:0]), aliases.get(i, []))
        for i in chosen
        if records[i].merged_into is None
    ]


def _summary(
    record: IdentityRecord,
    cameras: tuple[str | None, ...],
    times: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    aliases: list[str],
) -> Identity:
    own_times = times[rows]
    own_times = own_times[~np.isnan(own_times)]
    return Identity(
        id=record.id,
        name=record.name,
        observations=len(rows),
        cameras=tuple(sorted({name for row in rows.tolist() if (name := cameras[row]) is not None})),
        first_seen=float(own_times.min()) if len(own_times) else None,
        last_seen=float(own_times.max()) if len(own_times) else None,
        unknown=record.unknown,
        notes=record.notes,
        consent=record.consent,
        expires=record.expires,
        created=record.created,
        aliases=tuple(aliases),
    )

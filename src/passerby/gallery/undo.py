"""Taking changes back, as far as nothing later builds upon them. Called inside `store.transaction()`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from passerby.errors import GalleryRequestError, NotInGalleryError
from passerby.gallery.changes import ids_from_ranges, sightings_of, write_event
from passerby.gallery.comparison import undo_comparison
from passerby.gallery.events import Event
from passerby.gallery.identities import find
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord, SightingWhere
from passerby.gallery.thinning import put_back

CHANGES = frozenset(
    {
        *("enroll", "observe", "import", "merge", "split", "reassign", "update", "pair", "thin"),
        *("threshold", "far", "sightings", "import_sightings", "comparison", "forget", "purge"),
    }
)
"""Actions that change what the gallery knows; other entries of the log only note that something happened."""
_ADDING = frozenset({"enroll", "observe", "import"})
_FINAL = frozenset({"forget", "purge"})
_OF_ALL = frozenset({"threshold", "far", "sightings", "comparison"})
"""Changes of a setting, which concern no identity."""


def undo(store: Store, event_id: int | None, actor: str) -> Event:
    """Take a change back; the event that was undone.

    Raises:
        GalleryRequestError: its data is gone, or a later change concerns the same.
    """
    events = [event for event in store.events() if _is_standing_change(event)]
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
        if event.action == later.action in _OF_ALL or {later.identity, later.other} & (touched - {None}):
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
        for one in group:
            _REVERSALS[one.action](store, one)
    write_event(store, "undo", event.identity, actor, other=event.other, detail={"event": event.id})
    return event


def can_be_undone(event: Event) -> bool:
    """Whether an entry of the log is a change that can be undone, as far as the entry alone shows."""
    return _is_standing_change(event) and event.action not in _FINAL


def _is_standing_change(event: Event) -> bool:
    return event.action in CHANGES and not event.undone and not event.detail.get("migrated")


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
    """Erase what these events added to one identity.

    If they made it and no other observation is left, the identity is erased, too, with all its sightings.
    """
    identity = _subject(store, events[0])
    own = store.observations([identity.id]).ids
    added = np.zeros(len(own), np.bool_)
    for event in events:
        added |= (own >= event.detail["first"]) & (own <= event.detail["last"])
    store.erase_observations(own[added])
    gone = any(event.detail["created"] for event in events) and added.all()
    seen = sightings_of(store, [identity.id])
    of_events = np.array([event.detail.get("sighting", 0) for event in events], np.int64)
    store.sightings.erase(seen if gone else np.intersect1d(seen, of_events))
    if gone:
        store.erase_identities([identity.id])


def _undo_merge(store: Store, event: Event) -> None:
    target, source = _subject(store, event), _record(store, event.other)
    moved = ids_from_ranges(event.detail["moved"])
    store.move_observations(np.intersect1d(moved, store.observations([target.id]).ids), source.id)
    _move_sightings(store, event, target.id, source.id)
    _bring_back(store, event, replace(source, merged_into=None))
    if target.expires != event.detail["expires"]:
        store.put_identity(replace(target, expires=event.detail["expires"]))


def _undo_reassign(store: Store, event: Event) -> None:
    target, source = _subject(store, event), _record(store, event.other)
    moved = ids_from_ranges(event.detail["moved"])
    store.move_observations(np.intersect1d(moved, store.observations([target.id]).ids), source.id)
    _move_sightings(store, event, target.id, source.id)


def _undo_split(store: Store, event: Event) -> None:
    record, made = _subject(store, event), _record(store, event.other)
    own = store.observations([made.id]).ids
    moved = np.intersect1d(ids_from_ranges(event.detail["moved"]), own)
    store.move_observations(moved, record.id)
    _move_sightings(store, event, made.id, record.id)
    if len(moved) == len(own):
        store.sightings.move(sightings_of(store, [made.id]), record.id)  # those that came later
        store.erase_identities([made.id])


def _move_sightings(store: Store, event: Event, owner: int, identity: int) -> None:
    """Give the sightings that a change moved, as far as their owner still has them, to an identity."""
    moved = ids_from_ranges(event.detail.get("sightings", []))  # 0.1 had none
    store.sightings.move(np.intersect1d(moved, sightings_of(store, [owner])), identity)


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


def _undo_sightings(store: Store, event: Event) -> None:
    store.change_settings(replace(store.settings(), **event.detail["old"]))


def _undo_import_of_sightings(store: Store, event: Event) -> None:
    """Erase those that are still there, whoever has them by now."""
    first, last = event.detail["first"], event.detail["last"]
    there = store.sightings.select(SightingWhere(newer_than=first - 1))
    store.sightings.erase(np.array([one.id for one in there if one.id <= last], np.int64))


def _undo_far(store: Store, event: Event) -> None:
    store.change_settings(replace(store.settings(), far=event.detail["old"]))


def _undo_comparison(store: Store, event: Event) -> None:
    undo_comparison(store, replace(store.settings(), **event.detail["old"]))


def _undo_judgement(store: Store, event: Event) -> None:
    """Nothing to restore: a judgement that is marked as undone does not count."""


def _undo_thinning(store: Store, event: Event) -> None:
    _subject(store, event)
    put_back(store, event)


_REVERSALS = {
    "merge": _undo_merge,
    "split": _undo_split,
    "reassign": _undo_reassign,
    "update": _undo_update,
    "threshold": _undo_threshold,
    "sightings": _undo_sightings,
    "import_sightings": _undo_import_of_sightings,
    "far": _undo_far,
    "comparison": _undo_comparison,
    "pair": _undo_judgement,
    "thin": _undo_thinning,
}


def _subject(store: Store, event: Event) -> IdentityRecord:
    return _record(store, event.identity)


def _record(store: Store, identity: int | None) -> IdentityRecord:
    record = store.identity(identity or 0)
    if record is None:
        raise GalleryRequestError(f"{store.location}: the identity of this change was forgotten; it cannot be undone")
    return record

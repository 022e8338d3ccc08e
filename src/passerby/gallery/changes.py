"""Changes of what is known: descriptions, merging, splitting, forgetting; each writes the log in its transaction.

All functions are called inside `store.transaction()`.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from passerby.array_types import Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.argument_checks import checked_count, checked_ids, is_number
from passerby.gallery.events import Event
from passerby.gallery.identities import final_identity, new_identity, new_unknown
from passerby.gallery.sightings import own_observations
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord, SightingWhere


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
        GalleryRequestError: the new name belongs to another identity, or notes or consent that are no text.
    """
    changed = record
    if name is not None and name != record.name:
        owner = store.find([name]).get(name)
        if owner is not None and owner.id != record.id:
            raise GalleryRequestError(
                f"{store.location}: there is an identity {owner.name!r} already; merge the two instead"
            )
        changed = replace(changed, name=name, unknown=False)
    for what, text in (("notes", notes), ("consent", consent)):
        if text is not None and not isinstance(text, str):
            raise GalleryRequestError(f"{what}: expected text, found {type(text).__name__}")
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


def set_sightings(
    store: Store,
    keep_vectors: bool | None,
    expire_after: float | Literal["never"] | None,
    templates_per_camera: int | Literal["any"] | None,
    actor: str,
) -> None:
    """Change what is stored of sightings; what is None stays. Vectors that are not to be stored are erased.

    Raises:
        GalleryRequestError: a time or number that is not above 0, or no yes or no.
    """
    old = store.settings()
    new = old
    if keep_vectors is not None:
        if not isinstance(keep_vectors, bool):
            raise GalleryRequestError(f"keep_vectors: expected True or False, found {keep_vectors!r}")
        new = replace(new, keep_sighting_vectors=keep_vectors)
    if expire_after is not None:
        if expire_after != "never" and not (is_number(expire_after) and 0 < expire_after < float("inf")):
            raise GalleryRequestError(f"expire_after: expected a number of seconds above 0, found {expire_after!r}")
        new = replace(new, sightings_expire_after=None if expire_after == "never" else float(expire_after))
    if templates_per_camera is not None:
        most = None if templates_per_camera == "any" else checked_count(templates_per_camera, "templates_per_camera")
        new = replace(new, templates_per_camera=most)
    if keep_vectors is False:
        store.sightings.erase_vectors()
    if new == old:
        return
    store.change_settings(new)
    names = ("keep_sighting_vectors", "sightings_expire_after", "templates_per_camera")
    detail = {which: {name: getattr(one, name) for name in names} for which, one in (("old", old), ("new", new))}
    write_event(store, "sightings", None, actor, detail=detail)


def purge_sightings(store: Store, now: float, actor: str) -> int:
    """Erase the sightings whose retention has ended; how many."""
    lasting = store.settings().sightings_expire_after
    if lasting is None:
        return 0
    old = store.sightings.expired(now - lasting)
    store.sightings.erase(old)
    if len(old):
        write_event(store, "purge", None, actor, detail={"sightings": len(old)})
    return len(old)


def set_far(store: Store, far: float, actor: str) -> None:
    """Change the asked false accept rate."""
    settings = store.settings()
    store.change_settings(replace(settings, far=far))
    write_event(store, "far", None, actor, detail={"old": settings.far, "new": far})


def merge(
    store: Store,
    target: IdentityRecord,
    source: IdentityRecord,
    actor: str,
    *,
    batch: int | None = None,
    observations: Int64 | None = None,
) -> int:
    """Move all observations and sightings of `source` to `target`; the earlier of two retention dates holds for both.

    Args:
        store: of both.
        target: remains.
        source: becomes a second name of `target`.
        actor: who asked, for the log.
        batch: number of the changes that are undone together, if there are others.
        observations: of `source`, ascending, where this transaction has moved some; default: those that it had before.

    Returns:
        The entry of the log.

    Raises:
        GalleryRequestError: both are one identity.
    """
    if target.id == source.id:
        raise GalleryRequestError(f"{store.location}: {target.name!r} cannot be merged into itself")
    moved = store.observations([source.id]).ids if observations is None else observations
    seen = sightings_of(store, [source.id])
    store.move_observations(moved, target.id)
    store.sightings.move(seen, target.id)
    store.put_identity(replace(source, merged_into=target.id))
    expires = earlier_date(target, source)
    if expires != target.expires:
        store.put_identity(replace(target, expires=expires))
    detail = {"moved": ranges_of(moved), "sightings": ranges_of(seen), "expires": target.expires}
    if batch is not None:
        detail["batch"] = batch
    return write_event(store, "merge", target.id, actor, other=source.id, detail=detail)


def earlier_date(one: IdentityRecord, other: IdentityRecord) -> float | None:
    """The retention date that holds for two identities together."""
    return min((date for date in (one.expires, other.expires) if date is not None), default=None)


def reassign(
    store: Store, source: int, target: int, observations: Int64, sighting: int, actor: str, *, batch: int
) -> None:
    """Give observations and a sighting (0: none) of one identity to another; undone with the others of the batch."""
    seen = np.array([sighting] if sighting else [], np.int64)
    store.move_observations(observations, target)
    store.sightings.move(seen, target)
    detail = {"moved": ranges_of(observations), "sightings": ranges_of(seen), "batch": batch}
    write_event(store, "reassign", target, actor, other=source, detail=detail)


def split(
    store: Store,
    record: IdentityRecord,
    observations: Sequence[int],
    sightings: Sequence[int],
    name: str | None,
    actor: str,
) -> int:
    """Move some observations and sightings to a new identity; its id.

    Sightings whose observations are all moved go with them.

    Raises:
        GalleryRequestError: those of others, none, or all observations, or the name belongs to another identity.
    """
    own = store.observations([record.id]).ids
    seen = store.sightings.select(SightingWhere(frozenset([record.id])))
    wanted = _own_ids(store, record, "observation", observations, own)
    named = _own_ids(store, record, "sighting", sightings, np.array([one.id for one in seen], np.int64))
    if not len(wanted) and not len(named):
        raise GalleryRequestError(
            f"{store.location}: split {record.name!r}: expected ids of its observations, but none were given"
        )
    if len(wanted) == len(own) and len(wanted):
        raise GalleryRequestError(
            f"{store.location}: split {record.name!r}: all of its observations; rename it instead"
        )
    if name is not None and store.find([name]):
        raise GalleryRequestError(f"{store.location}: there is an identity {name!r} already")
    made = new_unknown(store) if name is None else new_identity(store, name)
    # what was agreed for the whole holds for the part
    store.put_identity(replace(made, consent=record.consent, expires=record.expires))
    places = [(one.id, own_observations(one, own)) for one in seen]
    with_them = [number for number, ids in places if len(ids) and np.isin(ids, wanted).all()]
    moved = np.union1d(named, np.array(with_them, np.int64))
    store.move_observations(wanted, made.id)
    store.sightings.move(moved, made.id)
    detail = {"moved": ranges_of(wanted), "sightings": ranges_of(moved)}
    write_event(store, "split", record.id, actor, other=made.id, detail=detail)
    return made.id


def _own_ids(store: Store, record: IdentityRecord, what: str, given: Sequence[int], own: Int64) -> Int64:
    wanted = np.unique(checked_ids(given, f"{what}s"))
    foreign = np.setdiff1d(wanted, own)
    if len(foreign):
        raise GalleryRequestError(
            f"{store.location}: split {record.name!r}: expected ids of its {what}s, but {what} {foreign[0]} is not one "
            "of its own"
        )
    return wanted


@dataclass(frozen=True)
class Erased:
    """How much was erased."""

    observations: int = 0
    sightings: int = 0


def forget(store: Store, identities: Sequence[int], action: str, actor: str) -> Erased:
    """Erase identities, all that was merged into them, and their observations and sightings."""
    if not identities:
        return Erased()
    records = store.identities()
    merged = [other.id for other in records.values() if final_identity(records, other).id in set(identities)]
    everything = sorted({*identities, *merged})
    observations, sightings = store.observations(everything).ids, sightings_of(store, everything)
    store.erase_observations(observations)
    store.sightings.erase(sightings)
    store.erase_identities(everything)
    for identity in identities:
        write_event(store, action, identity, actor)
    return Erased(len(observations), len(sightings))


def sightings_of(store: Store, identities: Sequence[int]) -> Int64:
    """Ids of the sightings of these identities, ascending."""
    found = store.sightings.select(SightingWhere(frozenset(identities)))
    return np.array(sorted(one.id for one in found), np.int64)


def ranges_of(ids: Int64) -> list[list[int]]:
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

"""Identify, else enrol as unknown; and store what was seen as a sighting. Called inside `store.transaction()`."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Float32
from passerby.errors import GalleryRequestError
from passerby.gallery import identities
from passerby.gallery.changes import write_event
from passerby.gallery.enrolment import NewObservations
from passerby.gallery.result_types import Identification, Sighting
from passerby.gallery.sightings import answer_of, own_observations
from passerby.gallery.stores.protocol import Settings, Store
from passerby.gallery.stores.rows import IdentityRecord, SightingRecord, SightingWhere, Where
from passerby.gallery.templates import diverse_rows
from passerby.plain_names import is_same_name

_LONGEST_SECONDS = 6 * 3600.0  # of a sighting: older ones are not looked at, so that the cost does not grow with them
_SAME_VECTOR = 1e-4
_SAME_DISTANCE = 1e-5


@dataclass(frozen=True)
class Probe:
    """One person as seen by one camera, before the gallery says who it is.

    Attributes:
        vector: unit vector [1, D] that is compared.
        observations: of a new unknown (or of a known person, where they are kept).
        record: the sighting, but for the identity.
        thumbnail: the best picture as a JPEG, or None.
    """

    vector: Float32
    observations: NewObservations
    record: SightingRecord
    thumbnail: bytes | None = None


def observe(
    store: Store,
    probe: Probe,
    identify: Callable[[Where], Identification],
    settings: Settings,
    where: Where,
    *,
    store_known: bool,
    once_per_instant: bool,
    actor: str,
    request: str = "",
) -> Sighting:
    """Who was seen, stored as a sighting; whoever is unknown becomes a new identity.

    Args:
        store: where to.
        probe: who was seen.
        identify: says by a threshold who it is, under a filter.
        settings: as this transaction found them.
        where: the filter.
        store_known: add the observations of a known person, too.
        once_per_instant: nobody is seen twice by one camera at one instant.
        actor: who asked, for the log.
        request: id of the call, for the log; "" for none.

    Raises:
        GalleryError: there is no threshold.
    """
    found = identify(where)
    if once_per_instant and found.identity is not None:
        present = seen_at_once(store, probe.record)
        names = store.names({one.identity for one in present})
        for one in present:
            if _is_repeated(store, one, probe, _distance_to(found, names[one.identity])):
                return replace(answer_of(store, [one])[0], new=False, identification=found)
        if found.identity in names.values():
            found = identify(replace(where, exclude_identities=frozenset(names)))
    if found.threshold is None:
        raise GalleryRequestError(
            f"observe needs a threshold, and {found.note}; or give one with the call: threshold= (--threshold)"
        )
    record = None if found.identity is None else identities.find_or_none(store, found.identity)
    if record is None:
        made = identities.new_unknown(store)
        return _store(store, probe, settings, made, found, new=True, keep=True, actor=actor, request=request)
    return _store(store, probe, settings, record, found, new=False, keep=store_known, actor=actor, request=request)


def seen_at_once(store: Store, record: SightingRecord) -> list[SightingRecord]:
    """Sightings by the same camera that overlap this one in time (both ends included); [] where either is unknown."""
    if record.camera is None or record.start is None:
        return []
    return store.sightings.select(
        SightingWhere(
            cameras=frozenset([record.camera]),
            after=record.start,
            before=record.end,
            started_after=record.start - _LONGEST_SECONDS,
        )
    )


def _distance_to(found: Identification, name: str) -> float | None:
    """Of a candidate; None where the identity is not among the candidates."""
    return next((match.distance for match in found.matches if match.identity == name), None)


def _is_repeated(store: Store, stored: SightingRecord, probe: Probe, distance: float | None) -> bool:
    """Whether this very sighting is stored already: the same moments and place, and the same picture or distance."""
    ours = probe.record
    if distance is None or any(
        getattr(stored, name) != getattr(ours, name)
        for name in ("start", "end", "source", "first_frame", "last_frame", "frames")
    ):
        return False
    if not stored.new and stored.distance is not None and abs(distance - stored.distance) < _SAME_DISTANCE:
        return True
    there = own_observations(stored, store.observations([stored.identity]).ids)
    if not len(there):
        return False
    first = store.vectors(there[:1])[0]
    return bool(np.linalg.norm(probe.observations.vectors - first, axis=1).min() < _SAME_VECTOR)


def _store(
    store: Store,
    probe: Probe,
    settings: Settings,
    record: IdentityRecord,
    found: Identification,
    *,
    new: bool,
    keep: bool,
    actor: str,
    request: str,
) -> Sighting:
    most = settings.templates_per_camera
    added = _templates(store, record.id, probe.observations, probe.record.camera, most) if keep else None
    ids = np.zeros(0, np.int64)
    if added is not None and len(added):
        ids = added.store(store, np.full(len(added), record.id, np.int64))
    sighting = replace(
        probe.record,
        identity=record.id,
        distance=found.matches[0].distance if found.matches else None,
        p_value=p_value_of(found),
        new=new,
        at=clock.time(),
        first_observation=int(ids[0]) if len(ids) else 0,
        last_observation=int(ids[-1]) if len(ids) else 0,
    )
    vector = probe.vector[0] if settings.keep_sighting_vectors else None
    number = store.sightings.add(sighting, vector, probe.thumbnail)
    # camera, time and distance stand in the sighting alone: it has a retention of its own
    detail: dict[str, Any] = {"sighting": number, **({"request": request} if request else {})}
    if len(ids):
        counted = {"first": int(ids[0]), "last": int(ids[-1]), "count": len(ids), "created": new}
        write_event(store, "observe", record.id, actor, detail={**counted, **detail})
    else:
        write_event(store, "seen", record.id, actor, detail=detail)
    stored = replace(sighting, id=number, has_vector=vector is not None, has_thumbnail=probe.thumbnail is not None)
    (answer,) = answer_of(store, [stored], {record.id: record.name}, observations=ids)
    return replace(answer, identification=found)


def p_value_of(found: Identification) -> float | None:
    """The p-value of an answer, where the gallery is calibrated."""
    p_value: float | None = getattr(found, "p_value", None)
    return p_value


def _templates(
    store: Store, identity: int, observations: NewObservations, camera: str | None, most: int | None
) -> NewObservations:
    """Those that are stored: all, or as many as the identity may have of one camera, unlike each other."""
    if most is None:
        return observations
    columns = store.observations([identity])
    there = columns.ids[[place for place, name in enumerate(columns.cameras) if is_same_name(name, camera)]]
    stored = store.vectors(there) if len(there) else None
    return observations.rows(diverse_rows(observations.vectors, most - len(there), stored=stored))

"""Reading sightings: by person, camera and time, or by likeness to a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.argument_checks import Camera, asked_cameras, checked_count
from passerby.gallery.means_in_force import means_in_force
from passerby.gallery.result_types import FoundSighting, FoundSightings, Sighting
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import SightingRecord, SightingWhere
from passerby.gallery.times import Moment, to_seconds


def sighting_filter(
    identities: Sequence[int] | None,
    camera: Camera | Sequence[Camera] | None,
    after: Moment | None,
    before: Moment | None,
) -> SightingWhere:
    """Which sightings are meant; None: whichever.

    Raises:
        GalleryError: not cameras, not moments, or a window that ends before it starts.
    """
    start = None if after is None else to_seconds(after, what="after")
    end = None if before is None else to_seconds(before, what="before")
    if start is not None and end is not None and start > end:
        raise GalleryRequestError(f"time window: it starts ({start:g}) after its end ({end:g})")
    several = camera if isinstance(camera, (list, tuple, set, frozenset)) else [camera]
    names = asked_cameras(several)
    return SightingWhere(None if identities is None else frozenset(identities), names or None, start, end)


def answer_of(
    store: Store,
    records: Sequence[SightingRecord],
    names: Mapping[int, str] | None = None,
    *,
    observations: Int64 | None = None,
) -> list[Sighting]:
    """Sightings as a gallery answers, in the order given; without those whose identity is gone meanwhile.

    Args:
        store: of the sightings.
        records: sightings.
        names: of their identities by id; default: those that the store knows.
        observations: ids, ascending, of the observations that were stored with them; default: those that are there.
    """
    known = store.names({record.identity for record in records}) if names is None else names
    there = _observations_of(store, records) if observations is None else observations
    return [
        Sighting(
            identity=known[record.identity],
            new=record.new,
            observations=tuple(own_observations(record, there).tolist()),
            id=record.id,
            camera=record.camera,
            start=record.start,
            end=record.end,
            distance=record.distance,
            p_value=record.p_value,
            frames=record.frames,
            source=record.source,
            first_frame=record.first_frame,
            last_frame=record.last_frame,
            at=record.at,
            has_thumbnail=record.has_thumbnail,
            has_vector=record.has_vector,
        )
        for record in records
        if record.identity in known
    ]


def _observations_of(store: Store, records: Sequence[SightingRecord]) -> Int64:
    """Ids, ascending, of all observations of those whose sightings were stored with some."""
    owners = sorted({record.identity for record in records if record.first_observation})
    return store.observations(owners).ids if owners else np.zeros(0, np.int64)


def own_observations(record: SightingRecord, observations: Int64) -> Int64:
    """Those of these ids, ascending, that were stored with a sighting."""
    first, last = np.searchsorted(observations, [record.first_observation, record.last_observation + 1])
    return observations[first:last] if record.first_observation else observations[:0]


def find_sightings(
    store: Store, probe: Float32, camera: str | None, where: SightingWhere, *, top: int
) -> FoundSightings:
    """The sightings most like a probe [1, D] of a camera, among those that pass a filter and have a vector.

    Raises:
        GalleryError: `top` is less than 1, or the gallery keeps no vectors of sightings and has none.
    """
    top = checked_count(top, "top")
    all_of_them = store.sightings.count(where)
    with_vector = store.sightings.count(_with_vector(where))
    if not with_vector and not store.settings().keep_sighting_vectors:
        raise GalleryRequestError(
            f"{store.location}: stores no vectors of sightings, so that past ones cannot be searched; "
            "set_sightings(keep_vectors=True) (`passerby gallery keep-sightings GALLERY --vectors`) stores those from "
            "now on"
        )
    means = means_in_force(store)
    compared = probe if means is None else means.apply(probe, [camera or ""])
    ((ids, distances),) = store.sightings.search(compared, _with_vector(where), top=top, means=means)
    apart = dict(zip(ids.tolist(), distances.tolist(), strict=True))
    found = answer_of(store, store.sightings.get(list(apart)))
    results = tuple(FoundSighting(sighting, apart[sighting.id]) for sighting in found)
    return FoundSightings(results, with_vector, all_of_them - with_vector)


def _with_vector(where: SightingWhere) -> SightingWhere:
    return replace(where, with_vector=True)

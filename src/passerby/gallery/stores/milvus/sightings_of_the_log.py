"""Sightings of former times, from the log of a gallery that did not store them yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from passerby.gallery.events import Event
from passerby.gallery.identities import final_identity
from passerby.gallery.stores.rows import IdentityRecord, Observations, SightingRecord


def sightings_of_the_log(
    events: Sequence[Event], identities: Mapping[int, IdentityRecord], observations: Observations
) -> Iterator[SightingRecord]:
    """What the log still knows; see `_add_sightings` in stores/sqlite/schema.py.

    Args:
        events: newest first.
        identities: by id.
        observations: all.
    """
    places = {identifier: row for row, identifier in enumerate(observations.ids.tolist())}
    for event in reversed(events):
        if event.undone:
            continue
        if event.action == "seen" and "distance" in event.detail:
            record, time = identities.get(event.identity or 0), event.detail["time"]
            if record is not None:
                yield SightingRecord(
                    final_identity(identities, record).id,
                    event.detail["camera"],
                    time,
                    time,
                    event.detail["distance"],
                    at=event.at,
                    event=event.id,
                )
        elif event.action == "observe" and "first" in event.detail:
            first, last = event.detail["first"], event.detail["last"]
            row = next((places[i] for i in range(first, last + 1) if i in places), None)
            if row is not None:
                moment = float(observations.times[row])
                time = None if moment != moment else moment
                yield SightingRecord(
                    int(observations.identities[row]),
                    observations.cameras[row],
                    time,
                    time,
                    new=bool(event.detail["created"]),
                    at=event.at,
                    first_observation=first,
                    last_observation=last,
                )

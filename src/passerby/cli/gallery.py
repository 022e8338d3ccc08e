"""`passerby gallery`: list, observations, history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import iso_time, show, table
from passerby.cli.shared_parameters import GalleryLocation, Json

if TYPE_CHECKING:
    from passerby.gallery.events import Event
    from passerby.gallery.result_types import Identity, Observation

OneName: TypeAlias = Annotated[str | None, Parameter(help="Of this person only.")]


def identities(gallery: GalleryLocation, /, *, json: Json = False) -> None:
    """Identities with their observations, cameras and dates."""
    with open_gallery(gallery, read_only=True) as opened:
        found = opened.identities()
    show(found, as_json=json, text=identity_table(found, empty=f"{gallery}: nobody is enrolled"))


def observations(gallery: GalleryLocation, name: OneName = None, /, *, json: Json = False) -> None:
    """Stored observations with their identity, camera and time, in the order in which they were stored."""
    with open_gallery(gallery, read_only=True) as opened:
        found = opened.observations(name)
    show(found, as_json=json, text=table([_observation(o) for o in found], empty=f"{gallery}: no observations"))


def history(
    gallery: GalleryLocation,
    name: OneName = None,
    /,
    *,
    limit: Annotated[int | None, Parameter(metavar="N", help="The newest so many entries only.")] = None,
    json: Json = False,
) -> None:
    """What happened, newest first."""
    with open_gallery(gallery, read_only=True) as opened:
        found = opened.history(name, limit=limit)
    show(
        found, as_json=json, text=table([event_row(event) for event in found], empty=f"{gallery}: nothing happened yet")
    )


def identity_table(identities: Sequence[Identity], *, empty: str) -> str:
    """Identities as a table."""
    return table([_identity(identity) for identity in identities], empty=empty)


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.id,
        "name": identity.name,
        "observations": identity.observations,
        "sightings": identity.sightings,
        "cameras": identity.cameras,
        "first seen": iso_time(identity.first_seen),
        "last seen": iso_time(identity.last_seen),
        "unknown": identity.unknown,
        "drift": identity.drift,
        "created": iso_time(identity.created),
        "expires": iso_time(identity.expires),
        "consent": identity.consent,
        "notes": identity.notes,
        "also": identity.aliases,
    }


def _observation(observation: Observation) -> dict[str, Any]:
    return {
        "id": observation.id,
        "identity": observation.identity,
        "camera": observation.camera,
        "time": iso_time(observation.time),
    }


def event_row(event: Event) -> dict[str, Any]:
    """One entry of the log as a line of a table."""
    return {
        "id": event.id,
        "at": iso_time(event.at),
        "action": event.action,
        "identity": event.name,
        "actor": event.actor,
        "undone": event.undone,
        "detail": [f"{key}={value}" for key, value in event.detail.items()],
    }

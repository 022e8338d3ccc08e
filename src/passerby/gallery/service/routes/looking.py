"""What only reads: identities, the log, thumbnails, health and metrics."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

import passerby
from passerby.errors import PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.gallery.service.calibration import curve_of, number
from passerby.gallery.service.keys import Key
from passerby.gallery.service.messages import About, Entry, Log, Name, People, Person, PersonDetails, SightingOf
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.routes.parts import PROBLEMS, needs, require, service_of
from passerby.gallery.service.state import Service

router = APIRouter(tags=["look"])
Reader = Annotated[Key, Depends(needs("read"))]
_BIGGEST = 2**63 - 1


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/ready", responses={503: {"description": "not now"}})
async def ready(request: Request) -> Response:
    """Whether work would be taken on: the gallery can be read, the encoder runs, its queue has room."""
    service = service_of(request)
    problem = ""
    if not service.encoder.alive:
        problem = "the encoder does not run"
    elif service.encoder.waiting >= service.limits.queue:
        problem = "too many images are waiting"
    else:
        try:
            await service.look(lambda gallery: gallery.threshold)
        except PasserbyError as error:
            problem = service.gallery.clean(str(error))
    return JSONResponse({"status": problem or "ready"}, 503 if problem else 200)


@router.get(
    "/metrics",
    response_class=Response,  # the class that leaves refusals described as JSON
    responses={**PROBLEMS, 200: {"content": {"text/plain": {}}, "description": "counters"}},
)
async def metrics(request: Request, caller: Reader) -> PlainTextResponse:
    """Counters in Prometheus' text format."""
    service = service_of(request)
    identities, observations = await service.look(lambda gallery: (len(gallery), gallery.observation_count))
    text = service.metrics.text(
        {
            "passerby_images_waiting": service.encoder.waiting,
            "passerby_requests_in_work": service.in_work,
            "passerby_body_bytes_in_flight": service.bodies.held,
            "passerby_gallery_identities": identities,
            "passerby_gallery_observations": observations,
        }
    )
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/gallery", responses=PROBLEMS)
async def about(request: Request, caller: Reader) -> About:
    """The gallery, the calibration of its encoder, and what this key may do."""
    service = service_of(request)
    return await service.look(lambda gallery: about_gallery(service, gallery, caller))


def about_gallery(service: Service, gallery: Gallery, caller: Key) -> About:
    """What `about` answers."""
    calibration = service.calibration
    impostors = number(calibration.get("impostors"))
    return About(
        identities=len(gallery),
        observations=gallery.observation_count,
        dim=service.encoder.dim,
        encoder=service.encoder.fingerprint,
        threshold=gallery.threshold,
        band=service.band(gallery.threshold),
        calibrated_threshold=service.encoder.threshold,
        false_alarm_rate=number(calibration.get("far")),
        impostors=None if impostors is None else int(impostors),
        curve=curve_of(calibration),
        read_only=service.gallery.read_only,
        caller=caller.name,
        role=cast("Literal['read', 'write', 'admin']", caller.role),
        images=service.limits.images,
        body_bytes=service.limits.body_bytes,
        pixels=service.limits.pixels,
        version=passerby.__version__,
    )


@router.get("/v1/identities", responses=PROBLEMS)
async def identities(
    request: Request,
    caller: Reader,
    search: Annotated[str, Query(max_length=200, description="part of a name, any case")] = "",
    offset: Annotated[int, Query(ge=0, le=_BIGGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> People:
    """Identities, the last seen first."""

    def task(gallery: Gallery) -> People:
        wanted = search.casefold()
        found = [i for i in gallery.identities() if any(wanted in name.casefold() for name in (i.name, *i.aliases))]
        found.sort(key=lambda i: (-(i.last_seen or 0), -i.created))
        return People(total=len(found), identities=[Person.of(i) for i in found[offset : offset + limit]])

    return await service_of(request).look(task)


@router.get("/v1/identity", responses=PROBLEMS)
async def identity(request: Request, caller: Reader, name: Annotated[Name, Query()]) -> PersonDetails:
    """One identity with its sightings."""

    def task(gallery: Gallery) -> PersonDetails:
        require(gallery, name)
        return PersonDetails(
            identity=Person.of(gallery.describe(name)),
            sightings=[SightingOf.of(sighting) for sighting in gallery.observations(name)],
        )

    return await service_of(request).look(task)


@router.get("/v1/history", responses=PROBLEMS)
async def history(
    request: Request,
    caller: Reader,
    identity: Annotated[Name | None, Query(description="of one identity; without: of all (role admin)")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Log:
    """What was done and asked, by whom, newest first."""
    if identity is None and not caller.may("admin"):
        raise Refusal(403, "the whole log needs a key of the role 'admin'; pass an identity for its own")

    def task(gallery: Gallery) -> Log:
        if identity is not None:
            require(gallery, identity)
        return Log(events=[Entry.of(event) for event in gallery.history(identity, limit=limit)])

    return await service_of(request).look(task)


@router.get(
    "/v1/thumbnails/{observation}",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {"image/jpeg": {}}, "description": "a small JPEG"}},
)
async def thumbnail(request: Request, caller: Reader, observation: Annotated[int, Path(ge=1, le=_BIGGEST)]) -> Response:
    """The small picture of an observation."""
    data = await service_of(request).look(lambda gallery: gallery.thumbnail(observation))
    if data is None:
        raise Refusal(404, f"no picture of observation {observation}")
    return Response(data, media_type="image/jpeg")

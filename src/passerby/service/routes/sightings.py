"""Sightings: who was seen by which camera, when; what each camera saw; and a search over all past sightings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.service.api_keys import Key
from passerby.service.context import ServiceContext
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Admin,
    Context,
    Reader,
    WritableContext,
    form_body,
    json_body,
    open_images,
    require_identity,
)
from passerby.service.errors import ServiceError
from passerby.service.json_bodies import describe_json
from passerby.service.multipart import describe_form
from passerby.service.schemas import (
    MAX_INTEGER,
    CameraList,
    CameraSummary,
    FindSightingsRequest,
    FindSightingsVectorsRequest,
    FoundSightingsResponse,
    KeepSightingsRequest,
    KeepSightingsResponse,
    Name,
    SightingList,
    SightingSummary,
)

router = APIRouter(tags=["sightings"], responses=ERROR_RESPONSES)
Moment = Annotated[str | None, Query(max_length=40, description="seconds or ISO 8601")]


@router.get("/v1/sightings")
async def sightings(
    caller: Reader,
    context: Context,
    identity: Annotated[Name | None, Query(description="of this person")] = None,
    camera: Annotated[Name | None, Query(description="by this camera")] = None,
    after: Moment = None,
    before: Moment = None,
    newer_than: Annotated[int | None, Query(ge=0, le=MAX_INTEGER, description="stored after this sighting")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> SightingList:
    """The newest sightings, newest first: of one person or all, by one camera or all, in a window of time."""

    def task(gallery: Gallery) -> SightingList:
        if identity is not None:
            require_identity(gallery, identity)
        found = gallery.sightings(
            identity, camera=camera, after=after, before=before, newest=limit, newer_than=newer_than
        )
        return SightingList(sightings=[SightingSummary.of(one) for one in reversed(found)])

    return await context.query(task)


@router.get("/v1/cameras")
async def cameras(
    caller: Reader,
    context: Context,
    after: Moment = None,
    before: Moment = None,
    newest: Annotated[int, Query(ge=0, le=50, description="sightings of each camera in the answer")] = 5,
) -> CameraList:
    """What each camera saw: how many sightings, people and new ones, and the newest sightings."""

    def task(gallery: Gallery) -> CameraList:
        found = gallery.sightings_by_camera(after=after, before=before)
        return CameraList(
            cameras=[
                CameraSummary(
                    **vars(one),
                    newest=[
                        SightingSummary.of(sighting)
                        for sighting in reversed(
                            gallery.sightings(camera=one.camera, after=after, before=before, newest=newest)
                        )
                    ]
                    if one.camera is not None
                    else [],
                )
                for one in found
            ]
        )

    return await context.query(task)


@router.get(
    "/v1/sightings/{sighting}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "a small JPEG"}},
)
async def thumbnail(caller: Reader, context: Context, sighting: Annotated[int, Path(ge=1, le=MAX_INTEGER)]) -> Response:
    """The small picture of a sighting."""

    def task(gallery: Gallery) -> bytes | None:
        context.note_reading(gallery, "pictures", caller)
        return gallery.sighting_thumbnail(sighting)

    data = await context.query(task)
    if data is None:
        raise ServiceError(404, f"no picture of sighting {sighting}")
    return Response(data, media_type="image/jpeg")


@router.post("/v1/sightings/find", openapi_extra=describe_form(FindSightingsRequest))
async def find(
    request: Request,
    caller: Reader,
    context: Context,
    form: Annotated[tuple[FindSightingsRequest, list[bytes]], form_body(FindSightingsRequest)],
) -> FoundSightingsResponse:
    """Rank all past sightings by likeness to the person of a picture (several pictures are a tracklet). Audited."""
    fields, images = form

    def task(gallery: Gallery) -> FoundSightingsResponse:
        with context.pixels.hold(images):
            return _found(context, gallery, open_images(context, images), dict(fields), caller, request)

    return await context.run(task)


@router.post("/v1/sightings/find/vectors", openapi_extra=describe_json(FindSightingsVectorsRequest))
async def find_by_vectors(
    request: Request,
    caller: Reader,
    context: Context,
    body: Annotated[FindSightingsVectorsRequest, json_body(FindSightingsVectorsRequest)],
) -> FoundSightingsResponse:
    """Rank all past sightings by likeness to vectors of this gallery's encoder. Audited."""
    fields: dict[str, Any] = body.model_dump(exclude={"vectors"})
    return await context.run(lambda gallery: _found(context, gallery, body.vectors, fields, caller, request))


def _found(
    context: ServiceContext, gallery: Gallery, probe: Any, fields: dict[str, Any], caller: Key, request: Request
) -> FoundSightingsResponse:
    found = gallery.find_sightings(probe, **fields)
    detail: dict[str, float | str] = {"request": request.state.request_id, "results": len(found)}
    context.audit(gallery, [Note("find_sightings", None, caller.name, detail)])
    return FoundSightingsResponse.of(found, request.state.request_id)


@router.get("/v1/sightings/keep")
async def kept(caller: Reader, context: Context) -> KeepSightingsResponse:
    """What is stored of sightings, and how long."""
    return await context.query(_kept)


@router.post("/v1/sightings/keep", openapi_extra=describe_json(KeepSightingsRequest))
async def keep(
    caller: Admin, context: WritableContext, body: Annotated[KeepSightingsRequest, json_body(KeepSightingsRequest)]
) -> KeepSightingsResponse:
    """Say what is stored of sightings, and how long; can be undone, but for vectors that were erased."""

    def task(gallery: Gallery) -> KeepSightingsResponse:
        gallery.set_sightings(
            keep_vectors=body.keep_vectors,
            expire_after=body.expire_after,
            templates_per_camera=body.templates_per_camera,
            actor=caller.name,
        )
        return _kept(gallery)

    return await context.run(task)


def _kept(gallery: Gallery) -> KeepSightingsResponse:
    return KeepSightingsResponse(
        keep_vectors=gallery.keep_sighting_vectors,
        expire_after=gallery.sightings_expire_after,
        templates_per_camera=gallery.templates_per_camera,
    )

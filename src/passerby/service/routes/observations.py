"""Observations: add one of whoever is seen, and its small picture."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from passerby.gallery.gallery import Gallery
from passerby.gallery.result_types import Sighting
from passerby.service.context import ServiceContext
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Context,
    Reader,
    WritableContext,
    Writer,
    form_body,
    json_body,
    open_images,
)
from passerby.service.errors import ServiceError
from passerby.service.json_bodies import describe_json
from passerby.service.multipart import describe_form
from passerby.service.schemas import (
    MAX_INTEGER,
    IdentifyResponse,
    ObserveRequest,
    ObserveResponse,
    ObserveVectorsRequest,
)

router = APIRouter(tags=["observations"], responses=ERROR_RESPONSES)


@router.post("/v1/observe", openapi_extra=describe_form(ObserveRequest))
async def observe(
    request: Request,
    caller: Writer,
    context: WritableContext,
    form: Annotated[tuple[ObserveRequest, list[bytes]], form_body(ObserveRequest)],
) -> ObserveResponse:
    """Identify one person (several pictures are a tracklet); whoever is unknown is enrolled as a new unknown."""
    fields, images = form

    def task(gallery: Gallery) -> ObserveResponse:
        with context.pixels.hold(images):
            sighting = gallery.observe(
                open_images(context, images), **dict(fields), actor=caller.name, request=request.state.request_id
            )
        return response_of(context, sighting, request)

    return await context.run(task)


@router.post("/v1/observe/vectors", openapi_extra=describe_json(ObserveVectorsRequest))
async def observe_vectors(
    request: Request,
    caller: Writer,
    context: WritableContext,
    body: Annotated[ObserveVectorsRequest, json_body(ObserveVectorsRequest)],
) -> ObserveResponse:
    """Identify by vectors; whoever is unknown is enrolled as a new unknown."""
    fields: dict[str, Any] = body.model_dump(exclude={"vectors"})

    def task(gallery: Gallery) -> ObserveResponse:
        sighting = gallery.observe(body.vectors, **fields, actor=caller.name, request=request.state.request_id)
        return response_of(context, sighting, request)

    return await context.run(task)


def response_of(context: ServiceContext, sighting: Sighting, request: Request) -> ObserveResponse:
    """The answer to whoever observed; its verdict is counted."""
    found = sighting.identification
    if found is None:  # only of sightings that are read again
        raise ServiceError(500, "a sighting without the answer that it came from")
    answer = IdentifyResponse.of(found, context.band(found.threshold), request.state.request_id)
    context.metrics.count_verdict(answer.verdict)
    context.made.add(answer.request)
    return ObserveResponse(
        identity=sighting.identity,
        new=sighting.new,
        observations=list(sighting.observations),
        sighting=sighting.id,
        answer=answer,
    )


@router.get(
    "/v1/thumbnails/{observation}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "a small JPEG"}},
)
async def thumbnail(
    caller: Reader, context: Context, observation: Annotated[int, Path(ge=1, le=MAX_INTEGER)]
) -> Response:
    """The small picture of an observation."""

    def task(gallery: Gallery) -> bytes | None:
        context.note_reading(gallery, "pictures", caller)
        return gallery.thumbnail(observation)

    data = await context.query(task)
    if data is None:
        raise ServiceError(404, f"no picture of observation {observation}")
    return Response(data, media_type="image/jpeg")

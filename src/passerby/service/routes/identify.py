"""Identification: who is this? And what a person decided about a candidate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Context,
    Reader,
    WritableContext,
    Writer,
    form_body,
    json_body,
    require_identity,
)
from passerby.service.errors import ServiceError
from passerby.service.identification import IdentificationTask
from passerby.service.json_bodies import describe_json
from passerby.service.multipart import describe_form
from passerby.service.schemas import DecisionRequest, IdentifyRequest, IdentifyResponse, IdentifyVectorsRequest

router = APIRouter(tags=["identify"], responses=ERROR_RESPONSES)


@router.post("/v1/identify", response_model=IdentifyResponse, openapi_extra=describe_form(IdentifyRequest))
async def identify(
    request: Request,
    caller: Reader,
    context: Context,
    form: Annotated[tuple[IdentifyRequest, list[bytes]], form_body(IdentifyRequest)],
) -> Response:
    """Identify the person of a picture, or of several pictures of one tracklet. Changes nothing."""
    fields, images = form
    answer = await context.identify(IdentificationTask(fields, caller.name, request.state.request_id, images=images))
    return Response(answer, media_type="application/json")


@router.post(
    "/v1/identify/vectors", response_model=IdentifyResponse, openapi_extra=describe_json(IdentifyVectorsRequest)
)
async def identify_vectors(
    request: Request,
    caller: Reader,
    context: Context,
    body: Annotated[IdentifyVectorsRequest, json_body(IdentifyVectorsRequest)],
) -> Response:
    """Identify by vectors of this gallery's encoder; several are one tracklet. Changes nothing."""
    task = IdentificationTask(body, caller.name, request.state.request_id, vectors=body.vectors)
    answer = await context.identify(task)
    return Response(answer, media_type="application/json")


@router.post("/v1/decide", status_code=204, openapi_extra=describe_json(DecisionRequest))
async def decide(
    caller: Writer, context: WritableContext, body: Annotated[DecisionRequest, json_body(DecisionRequest)]
) -> None:
    """Note what a person decided about a candidate. To add the picture to the identity, enrol it."""

    def task(gallery: Gallery) -> None:
        require_identity(gallery, body.identity)
        if not context.made.was_made(body.request, gallery):
            raise ServiceError(422, f"request: no identification {body.request} was answered; a decision is about one")
        detail: dict[str, float | str] = {"request": body.request, "distance": round(body.distance, 6)}
        context.audit(gallery, [Note(body.decision, body.identity, caller.name, detail)])

    await context.run(task)

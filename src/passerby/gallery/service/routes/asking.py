"""Who is this?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from passerby.gallery.service.forms import describe_form, read_form
from passerby.gallery.service.json_bodies import describe_json, read_json
from passerby.gallery.service.keys import Key
from passerby.gallery.service.messages import Answer, IdentifyVectors, Question
from passerby.gallery.service.routes.parts import PROBLEMS, checked_vectors, needs, service_of

router = APIRouter(tags=["ask"], responses=PROBLEMS)
Reader = Annotated[Key, Depends(needs("read"))]


@router.post("/v1/identify", response_model=Answer, openapi_extra=describe_form(Question))
async def identify(request: Request, caller: Reader) -> Response:
    """Identify the person of a picture, or of several pictures of one tracklet. Changes nothing."""
    service = service_of(request)
    question, uploads = await read_form(service, request, Question)
    answer = await service.ask(question, caller.name, request.state.request, uploads=uploads)
    return Response(answer, media_type="application/json")


@router.post("/v1/identify/vectors", response_model=Answer, openapi_extra=describe_json(IdentifyVectors))
async def identify_vectors(request: Request, caller: Reader) -> Response:
    """Identify by vectors of this gallery's encoder; several are one tracklet. Changes nothing."""
    service = service_of(request)
    question = await read_json(service, request, IdentifyVectors)
    vectors = checked_vectors(service, question.vectors)
    answer = await service.ask(question, caller.name, request.state.request, vectors=vectors)
    return Response(answer, media_type="application/json")

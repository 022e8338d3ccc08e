"""Who is this?"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request

from passerby.gallery.gallery import Gallery
from passerby.gallery.service.keys import Key
from passerby.gallery.service.messages import Answer, Distance, IdentifyVectors, Question, Top
from passerby.gallery.service.routes.parts import (
    PROBLEMS,
    FormNameOrNone,
    FormWhen,
    Images,
    checked_vectors,
    moment,
    needs,
    open_pictures,
    read_uploads,
    service_of,
)
from passerby.gallery.service.state import Service

router = APIRouter(tags=["ask"], responses=PROBLEMS)
Reader = Annotated[Key, Depends(needs("read"))]


@router.post("/v1/identify")
async def identify(
    request: Request,
    caller: Reader,
    images: Images,
    camera: FormNameOrNone = None,
    exclude_camera: Annotated[bool, Form()] = True,
    after: FormWhen = None,
    before: FormWhen = None,
    threshold: Annotated[Distance | None, Form()] = None,
    top: Annotated[Top, Form()] = 10,
) -> Answer:
    """Identify the person of a picture, or of several pictures of one tracklet. Changes nothing."""
    service = service_of(request)
    uploads = await read_uploads(service, images)
    question = Question(
        camera=camera, exclude_camera=exclude_camera, after=moment(after), before=moment(before),
        threshold=threshold, top=top,
    )  # fmt: skip
    return await service.work(
        lambda gallery: _answer(service, gallery, open_pictures(service, uploads), question, caller, request)
    )


@router.post("/v1/identify/vectors")
async def identify_vectors(request: Request, caller: Reader, question: IdentifyVectors) -> Answer:
    """Identify by vectors of this gallery's encoder; several are one tracklet. Changes nothing."""
    service = service_of(request)
    vectors = checked_vectors(service, question.vectors)
    return await service.work(lambda gallery: _answer(service, gallery, vectors, question, caller, request))


def _answer(
    service: Service, gallery: Gallery, probe: Any, question: Question, caller: Key, request: Request
) -> Answer:
    found = gallery.identify(
        probe,
        camera=question.camera,
        exclude_camera=question.exclude_camera,
        after=question.after,
        before=question.before,
        threshold=question.threshold,
        top=question.top,
    )
    answer = Answer.of(found, service.band(found.threshold), request.state.request)
    nearest = answer.matches[0] if answer.matches else None
    # Written before the answer is given: nobody learns who somebody is without leaving a trace
    service.audit(
        gallery,
        "identify",
        caller.name,
        identity=None if nearest is None else nearest.identity,
        request=answer.request,
        verdict=answer.verdict,
        candidates=len(answer.matches),
        **({} if nearest is None else {"distance": round(nearest.distance, 6)}),
    )
    service.metrics.verdict(answer.verdict)
    return answer

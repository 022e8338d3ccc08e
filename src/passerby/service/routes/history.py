"""The log of the gallery: what was done and by whom; undo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from passerby.gallery.gallery import Gallery
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Context,
    Reader,
    WritableContext,
    Writer,
    json_body,
    require_identity,
)
from passerby.service.errors import ServiceError
from passerby.service.json_bodies import describe_json
from passerby.service.schemas import HistoryEvent, HistoryResponse, Name, UndoRequest

router = APIRouter(tags=["history"], responses=ERROR_RESPONSES)


@router.get("/v1/history")
async def history(
    caller: Reader,
    context: Context,
    identity: Annotated[Name | None, Query(description="of one identity; without: of all (role admin)")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> HistoryResponse:
    """What was done and asked, by whom, newest first."""
    if identity is None and not caller.may("admin"):
        raise ServiceError(403, "the whole log needs a key of the role 'admin'; pass an identity for its own")

    def task(gallery: Gallery) -> HistoryResponse:
        if identity is not None:
            require_identity(gallery, identity)
        context.note_reading(gallery, "history", caller, identity)
        return HistoryResponse(events=[HistoryEvent.of(event) for event in gallery.history(identity, limit=limit)])

    return await context.query(task)


@router.post("/v1/undo", openapi_extra=describe_json(UndoRequest))
async def undo(
    caller: Writer, context: WritableContext, body: Annotated[UndoRequest, json_body(UndoRequest)]
) -> HistoryEvent:
    """Undo the last change, or one that no later change builds upon."""
    return await context.run(lambda gallery: HistoryEvent.of(gallery.undo(body.event, actor=caller.name)))

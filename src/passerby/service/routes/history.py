"""The log of the gallery: what was done and by whom; undo."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from passerby.gallery.events import Event
from passerby.gallery.gallery import Gallery
from passerby.gallery.undo import can_be_undone
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

_SETTINGS = frozenset({"threshold", "far", "sightings", "comparison"})
"""Changes that only the role admin may make, and so only it may undo."""
_FINAL = frozenset({"forget", "purge"})
"""Changes that cannot be undone; what was done before them is not the last change any more."""
_NEWEST = 1000  # entries that are looked at before all of them are

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
    """Undo the last change, or one that no later change builds upon; that of a setting needs the role admin."""

    def task(gallery: Gallery) -> HistoryEvent:
        change = _change_to_undo(gallery, body.event)
        if change is not None and change.action in _SETTINGS and not caller.may("admin"):
            raise ServiceError(403, f"undoing a change of the {change.action} needs a key of the role 'admin'")
        undone = gallery.undo(body.event if change is None else change.id, actor=caller.name)
        return HistoryEvent.of(_change_to_undo(gallery, undone.id) or replace(undone, undone=True))

    return await context.run(task)


def _change_to_undo(gallery: Gallery, event: int | None) -> Event | None:
    """The change `event`, or the last one, as the log has it; None where there is none."""
    for limit in (_NEWEST, None):
        for found in gallery.history(limit=limit):
            if found.id == event or (event is None and (can_be_undone(found) or found.action in _FINAL)):
                return found
    return None

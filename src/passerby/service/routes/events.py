"""Live sightings as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from passerby.service.authentication import token_of
from passerby.service.context import ServiceContext
from passerby.service.dependencies import ERROR_RESPONSES, Context, Reader
from passerby.service.errors import ServiceError
from passerby.service.schemas import MAX_INTEGER, SightingEvent

router = APIRouter(tags=["sightings"])


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={
        **ERROR_RESPONSES,
        200: {"content": {"text/event-stream": {}}, "description": "events `sighting`, until either side ends it"},
    },
)
async def events(
    request: Request,
    caller: Reader,
    context: Context,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_INTEGER)] = None,
) -> StreamingResponse:
    """New sightings as they are stored, by whichever process: events `sighting`, with `id` and JSON as `data`.

    The data are those of /v1/sightings and `visit`: whether the person was not seen for a while before. A comment
    is sent where there is nothing else to send for a while. A key that is removed ends the stream. An event `lost` says
    how many were dropped because the client was too slow. With the header `Last-Event-ID` those that were stored after
    that sighting come first, the newest 500 of them; for these, `visit` is told from what was missed alone.
    """
    context.feed.check_room()
    token = token_of(dict(request.scope["headers"]))
    return StreamingResponse(_stream(context, token, last_event_id), media_type="text/event-stream")


async def _stream(context: ServiceContext, token: str, last: int | None) -> AsyncIterator[str]:
    subscriber = context.feed.subscribe()
    sent = 0
    try:
        yield ": sightings\n\n"
        if last is not None:
            missed, left_out = await context.feed.missed(last)
            if left_out:
                yield f"event: lost\ndata: {left_out}\n\n"
            for one in missed:
                yield _text(one)
            sent = max((one.sighting for one in missed), default=last)
        while True:
            try:
                event = await asyncio.wait_for(subscriber.queue.get(), context.limits.heartbeat_seconds)
            except TimeoutError:
                if not _is_valid(context, token):
                    return
                yield ": nothing new\n\n"
                continue
            if event is None or not _is_valid(context, token):
                return
            if subscriber.lost:
                yield f"event: lost\ndata: {subscriber.lost}\n\n"
                subscriber.lost = 0
            if event.sighting > sent:
                yield _text(event)
    finally:
        context.feed.unsubscribe(subscriber)


def _text(event: SightingEvent) -> str:
    return f"event: sighting\nid: {event.sighting}\ndata: {event.model_dump_json()}\n\n"


def _is_valid(context: ServiceContext, token: str) -> bool:
    try:
        context.keys.find(token)
    except ServiceError:
        return False
    return True

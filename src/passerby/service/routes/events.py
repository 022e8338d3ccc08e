"""Live sightings as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from passerby.service.authentication import token_of
from passerby.service.context import ServiceContext
from passerby.service.dependencies import ERROR_RESPONSES, Context, Reader
from passerby.service.errors import ServiceError

router = APIRouter(tags=["sightings"])


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={
        **ERROR_RESPONSES,
        200: {"content": {"text/event-stream": {}}, "description": "events `sighting`, until either side ends it"},
    },
)
async def events(request: Request, caller: Reader, context: Context) -> StreamingResponse:
    """New sightings as they are stored, by whichever process: events `sighting`, with `id` and JSON as `data`.

    The data are those of /v1/sightings and `visit`: whether the person was not seen for a while before. A comment
    is sent where there is nothing else to send for a while. A key that is removed ends the stream. An event `lost` says
    how many were dropped because the client was too slow.
    """
    context.feed.check_room()
    token = token_of(dict(request.scope["headers"]))
    return StreamingResponse(_stream(context, token), media_type="text/event-stream")


async def _stream(context: ServiceContext, token: str) -> AsyncIterator[str]:
    subscriber = context.feed.subscribe()
    try:
        yield ": sightings\n\n"
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
            yield f"event: sighting\nid: {event.sighting}\ndata: {event.model_dump_json()}\n\n"
    finally:
        context.feed.unsubscribe(subscriber)


def _is_valid(context: ServiceContext, token: str) -> bool:
    try:
        context.keys.find(token)
    except ServiceError:
        return False
    return True

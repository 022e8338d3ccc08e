"""The service itself: liveness, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from passerby.errors import PasserbyError
from passerby.service.dependencies import ERROR_RESPONSES, Context, Reader

router = APIRouter(tags=["system"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/ready", responses={503: {"description": "not now"}})
async def ready(context: Context) -> Response:
    """Whether requests would be accepted: keys and gallery can be read, the encoder runs, its queue is not full.

    `pending` says what of those who were forgotten is still in a file; requests are accepted all the same.
    """
    problem = pending = ""
    if not context.encoder.alive:
        problem = "the encoder does not run"
    elif context.encoder.waiting >= context.limits.queue:
        problem = "too many images are waiting"
    else:
        try:
            context.keys.current()
            pending = await context.query(lambda gallery: gallery.pending_erasure)
        except PasserbyError as error:
            problem = context.gallery.without_location(str(error))
    return JSONResponse({"status": problem or "ready", "pending": pending or None}, 503 if problem else 200)


@router.get(
    "/metrics",
    response_class=Response,  # with PlainTextResponse the errors, too, would be described as text
    responses={**ERROR_RESPONSES, 200: {"content": {"text/plain": {}}, "description": "counters"}},
)
async def metrics(caller: Reader, context: Context) -> PlainTextResponse:
    """Counters in Prometheus' text format."""
    identities, observations = await context.query(lambda gallery: (len(gallery), gallery.observation_count))
    text = context.metrics.text(
        {
            "passerby_images_waiting": context.encoder.waiting,
            "passerby_requests_in_work": context.running,
            "passerby_body_bytes_in_flight": context.bodies.held,
            "passerby_gallery_identities": identities,
            "passerby_gallery_observations": observations,
            "passerby_event_subscribers": len(context.feed),
        }
    )
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")

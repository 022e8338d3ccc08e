"""Tracklets of other trackers: what one camera saw of one person without a break."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request

from passerby.gallery.gallery import Gallery
from passerby.service.context import ServiceContext
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    WritableContext,
    Writer,
    form_body,
    json_body,
)
from passerby.service.json_bodies import describe_json
from passerby.service.multipart import describe_form
from passerby.service.posted_tracklets import PostedTracklet, tracklet_of_pictures, tracklet_of_vectors
from passerby.service.routes.observations import response_of
from passerby.service.schemas import TrackletFields, TrackletRequest, TrackletResponse, TrackletVectorsRequest

router = APIRouter(tags=["tracklets"], responses=ERROR_RESPONSES)


@router.post("/v1/tracklets", openapi_extra=describe_form(TrackletRequest))
async def observe_tracklet(
    request: Request,
    caller: Writer,
    context: WritableContext,
    form: Annotated[tuple[TrackletRequest, list[bytes]], form_body(TrackletRequest)],
) -> TrackletResponse:
    """Identify the person of a tracklet (crops, or frames and boxes); whoever is unknown is enrolled as a new unknown.

    Pictures weigh by their quality. Whom the same camera saw during these moments is not a candidate.
    """
    fields, images = form

    def task(gallery: Gallery) -> TrackletResponse:
        posted = tracklet_of_pictures(context, gallery, fields, images)
        return _observe(context, gallery, fields, posted, caller.name, request)

    return await context.run(task)


@router.post("/v1/tracklets/vectors", openapi_extra=describe_json(TrackletVectorsRequest))
async def observe_tracklet_vectors(
    request: Request,
    caller: Writer,
    context: WritableContext,
    body: Annotated[TrackletVectorsRequest, json_body(TrackletVectorsRequest)],
) -> TrackletResponse:
    """The same by vectors of this gallery's encoder."""

    def task(gallery: Gallery) -> TrackletResponse:
        return _observe(context, gallery, body, tracklet_of_vectors(context, body), caller.name, request)

    return await context.run(task)


def _observe(
    context: ServiceContext,
    gallery: Gallery,
    fields: TrackletFields,
    posted: PostedTracklet,
    caller: str,
    request: Request,
) -> TrackletResponse:
    tracklet = posted.tracklet
    seen = None
    if posted.good:
        sighting = gallery.observe_tracklet(
            tracklet, keep=fields.keep, threshold=fields.threshold, actor=caller, request=request.state.request_id
        )
        seen = response_of(context, sighting, request)
    return TrackletResponse(
        decided=seen is not None,
        quality=tracklet.quality,
        used=len(tracklet.vectors),
        skipped=posted.skipped,
        identity=None if seen is None else seen.identity,
        new=None if seen is None else seen.new,
        observations=[] if seen is None else seen.observations,
        sighting=None if seen is None else seen.sighting,
        answer=None if seen is None else seen.answer,
    )

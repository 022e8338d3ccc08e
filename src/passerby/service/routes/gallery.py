"""The gallery as a whole: description, threshold, retention."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import APIRouter

from passerby.gallery.gallery import Gallery
from passerby.service.api_keys import Key
from passerby.service.calibration_curve import curve_of, finite_number
from passerby.service.context import ServiceContext
from passerby.service.dependencies import ERROR_RESPONSES, Admin, Context, Reader, WritableContext, json_body
from passerby.service.json_bodies import describe_json
from passerby.service.schemas import ComparisonResponse, GalleryResponse, PurgeResponse, ThresholdRequest
from passerby.version import __version__

router = APIRouter(tags=["gallery"], responses=ERROR_RESPONSES)


@router.get("/v1/gallery")
async def about(caller: Reader, context: Context) -> GalleryResponse:
    """The gallery, the calibration of its encoder, and what this key may do."""
    return await context.query(lambda gallery: _describe(context, gallery, caller))


@router.post("/v1/threshold", openapi_extra=describe_json(ThresholdRequest))
async def set_threshold(
    caller: Admin, context: WritableContext, body: Annotated[ThresholdRequest, json_body(ThresholdRequest)]
) -> GalleryResponse:
    """Give the gallery its own threshold, or (null) the encoder's; can be undone."""

    def task(gallery: Gallery) -> GalleryResponse:
        gallery.set_threshold(body.threshold, actor=caller.name)
        return _describe(context, gallery, caller)

    return await context.run(task)


@router.post("/v1/purge")
async def purge(caller: Admin, context: WritableContext) -> PurgeResponse:
    """Forget everyone whose retention date has come. Cannot be undone."""

    def task(gallery: Gallery) -> PurgeResponse:
        erased = gallery.purge(actor=caller.name)
        return PurgeResponse(
            identities=list(erased.identities),
            observations=erased.observations,
            sightings=erased.sightings,
            pending=erased.pending,
        )

    return await context.run(task)


def _describe(context: ServiceContext, gallery: Gallery, caller: Key) -> GalleryResponse:
    calibration = context.calibration
    impostors = finite_number(calibration.get("impostors"))
    comparison = gallery.comparison
    return GalleryResponse(
        identities=len(gallery),
        observations=gallery.observation_count,
        dim=context.encoder.dim,
        encoder=context.encoder.fingerprint,
        comparison=ComparisonResponse(
            camera_means=comparison.camera_means, cohort=comparison.cohort, text=str(comparison)
        ),
        threshold=gallery.threshold,
        band=context.band(gallery.threshold),
        calibrated_threshold=context.encoder.threshold,
        false_alarm_rate=finite_number(calibration.get("far")),
        impostors=None if impostors is None else int(impostors),
        curve=curve_of(calibration),
        read_only=context.gallery.read_only,
        caller=caller.name,
        role=cast("Literal['read', 'write', 'admin']", caller.role),
        images=context.limits.images,
        body_bytes=context.limits.body_bytes,
        pixels=context.limits.pixels,
        version=__version__,
    )

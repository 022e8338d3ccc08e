"""How sure verdicts are in this gallery, and pairs of identities that spoil it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from passerby.gallery.gallery import Gallery
from passerby.service.calibration_curve import CurvePoint
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Admin,
    Context,
    Reader,
    WritableContext,
    Writer,
    json_body,
    require_identity,
)
from passerby.service.json_bodies import describe_json
from passerby.service.schemas import (
    CalibrationResponse,
    DuplicateList,
    DuplicatePairSummary,
    FarRequest,
    JudgeRequest,
)

router = APIRouter(tags=["calibration"], responses=ERROR_RESPONSES)
Kind = Literal["identify", "observe"]


@router.get("/v1/calibration")
async def calibration(
    caller: Reader,
    context: Context,
    kind: Annotated[
        Kind, Query(description="`identify` leaves out the probe's camera, `observe` does not")
    ] = "identify",
) -> CalibrationResponse:
    """The threshold that the false accept rate asks for among the people of this gallery, and the rates of others."""
    return await context.query(lambda gallery: _describe(gallery, kind))


@router.post("/v1/far", openapi_extra=describe_json(FarRequest))
async def set_far(
    caller: Admin, context: WritableContext, body: Annotated[FarRequest, json_body(FarRequest)]
) -> CalibrationResponse:
    """Ask for another false accept rate; can be undone."""

    def task(gallery: Gallery) -> CalibrationResponse:
        gallery.set_far(body.far, actor=caller.name)
        return _describe(gallery, "identify")

    return await context.run(task)


@router.get("/v1/duplicates")
async def duplicates(caller: Reader, context: Context) -> DuplicateList:
    """Pairs of identities that may be one person, the most suspicious first; those that were judged are left out."""

    def task(gallery: Gallery) -> DuplicateList:
        pairs = [
            DuplicatePairSummary(identity=pair.identity, other=pair.other, distance=pair.distance, p_value=pair.p_value)
            for pair in gallery.find_duplicates()
        ]
        return DuplicateList(pairs=pairs)

    return await context.query(task)


@router.post("/v1/judge", status_code=204, openapi_extra=describe_json(JudgeRequest))
async def judge(
    caller: Writer, context: WritableContext, body: Annotated[JudgeRequest, json_body(JudgeRequest)]
) -> None:
    """Two identities are different people, or one person under two names; can be undone."""

    def task(gallery: Gallery) -> None:
        for name in (body.identity, body.other):
            require_identity(gallery, name)
        gallery.judge_pair(body.identity, body.other, body.judgement, actor=caller.name)

    await context.run(task)


def _describe(gallery: Gallery, kind: Kind) -> CalibrationResponse:
    found = gallery.calibration(kind)
    curve = () if found.cohort else found.curve  # the page draws it over plain distances
    return CalibrationResponse(
        kind=kind,
        far=found.far,
        threshold=found.threshold,
        in_force=found.in_force,
        in_force_far=found.in_force_far,
        identities=found.identities,
        people=found.people,
        finest_far=found.finest_far if math.isfinite(found.finest_far) else None,
        interval=found.interval,
        source=found.source,
        extrapolated=found.extrapolated,
        conservative=found.conservative,
        note=found.note,
        camera_means=found.camera_means,
        cohort=found.cohort,
        curve=[CurvePoint(threshold=distance, far=rate) for distance, rate in curve],
    )

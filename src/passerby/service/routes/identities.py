"""Identities: list, describe, enrol, merge, split, update, forget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Query

from passerby.gallery.argument_checks import asked_cameras
from passerby.gallery.gallery import Gallery
from passerby.gallery.result_types import Identity
from passerby.plain_names import is_same_name, plain_name
from passerby.service.dependencies import (
    ERROR_RESPONSES,
    Admin,
    Context,
    Reader,
    WritableContext,
    Writer,
    form_body,
    json_body,
    open_images,
    require_identity,
)
from passerby.service.errors import ServiceError
from passerby.service.json_bodies import describe_json
from passerby.service.multipart import describe_form
from passerby.service.schemas import (
    MAX_INTEGER,
    EnrollRequest,
    EnrollResponse,
    EnrollVectorsRequest,
    ForgetRequest,
    ForgetResponse,
    IdentityDetails,
    IdentityList,
    IdentitySummary,
    ListedIdentity,
    MergeRequest,
    Name,
    ObservationSummary,
    SightingSummary,
    SplitRequest,
    UpdateRequest,
)

_NEWEST = 1000  # sightings of one identity in one answer; /v1/sightings has the others

Kind: TypeAlias = Literal["all", "enrolled", "unknown", "drift"]
Order: TypeAlias = Literal["seen", "name", "enrolled", "sightings"]

router = APIRouter(tags=["identities"], responses=ERROR_RESPONSES)


@router.get("/v1/identities")
async def identities(
    caller: Reader,
    context: Context,
    search: Annotated[str, Query(max_length=200, description="part of a name, any case")] = "",
    kind: Annotated[
        Kind, Query(description="`enrolled`: those with a name of their own; `drift`: see `drift`")
    ] = "all",
    camera: Annotated[Name | None, Query(description="seen or enrolled by this camera")] = None,
    sort: Annotated[Order, Query(description="`seen`, `enrolled`: the newest first")] = "seen",
    offset: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> IdentityList:
    """Identities, the last seen first unless `sort` says otherwise."""

    def task(gallery: Gallery) -> IdentityList:
        context.note_reading(gallery, "names", caller)
        part = plain_name(search).casefold()
        everybody = gallery.identities()
        cameras = sorted({name for identity in everybody for name in identity.cameras})
        asked = {name for name in cameras if any(is_same_name(name, other) for other in asked_cameras([camera]))}
        found = [
            identity
            for identity in everybody
            if any(part in name.casefold() for name in (identity.name, *identity.aliases))
            and _is_of(identity, kind)
            and (camera is None or not asked.isdisjoint(identity.cameras))
        ]
        found.sort(key=lambda identity: _rank(identity, sort))
        shown = [_listed(gallery, identity) for identity in found[offset : offset + limit]]
        return IdentityList(total=len(found), cameras=cameras, identities=shown)

    return await context.query(task)


def _is_of(identity: Identity, kind: Kind) -> bool:
    return {"all": True, "unknown": identity.unknown, "enrolled": not identity.unknown, "drift": identity.drift}[kind]


def _rank(identity: Identity, sort: Order) -> tuple[float | str, ...]:
    newest = (-(identity.last_seen or 0), -identity.created)
    if sort == "name":
        return (identity.name.casefold(), identity.name)
    if sort == "enrolled":
        return (-identity.created, -identity.id)
    return (-identity.sightings, *newest) if sort == "sightings" else newest


def _listed(gallery: Gallery, identity: Identity) -> ListedIdentity:
    newest = max((observation.id for observation in gallery.observations(identity.name)), default=None)
    return ListedIdentity(**IdentitySummary.of(identity).model_dump(), newest=newest)


@router.get("/v1/identity")
async def identity(caller: Reader, context: Context, name: Annotated[Name, Query()]) -> IdentityDetails:
    """One identity with its sightings."""

    def task(gallery: Gallery) -> IdentityDetails:
        require_identity(gallery, name)
        context.note_reading(gallery, "names", caller, name)
        return IdentityDetails(
            identity=IdentitySummary.of(gallery.describe(name)),
            sightings=[ObservationSummary.of(observation) for observation in gallery.observations(name)],
            seen=[SightingSummary.of(one) for one in reversed(gallery.sightings(name, newest=_NEWEST))],
        )

    return await context.query(task)


@router.post("/v1/enroll", status_code=201, openapi_extra=describe_form(EnrollRequest))
async def enroll(
    caller: Writer,
    context: WritableContext,
    form: Annotated[tuple[EnrollRequest, list[bytes]], form_body(EnrollRequest)],
) -> EnrollResponse:
    """Add pictures to an identity, which is made if there is none of this name."""
    fields, images = form

    def task(gallery: Gallery) -> EnrollResponse:
        with context.pixels.hold(images):
            pictures = open_images(context, images)
            added = gallery.enroll(fields.identity, pictures, **_details(fields), actor=caller.name)
        return _enrolled(gallery, fields.identity, added)

    return await context.run(task)


def _details(body: EnrollRequest) -> dict[str, Any]:
    """All that a request says besides who it is."""
    return {name: value for name, value in body if name != "identity"}


@router.post("/v1/enroll/vectors", status_code=201, openapi_extra=describe_json(EnrollVectorsRequest))
async def enroll_vectors(
    caller: Writer, context: WritableContext, body: Annotated[EnrollVectorsRequest, json_body(EnrollVectorsRequest)]
) -> EnrollResponse:
    """Add vectors of this gallery's encoder to an identity."""

    def task(gallery: Gallery) -> EnrollResponse:
        added = gallery.enroll(body.identity, **_details(body), actor=caller.name)
        return _enrolled(gallery, body.identity, added)

    return await context.run(task)


def _enrolled(gallery: Gallery, name: str, added: Sequence[int]) -> EnrollResponse:
    """The answer has the name as it is stored, which may be written otherwise."""
    return EnrollResponse(identity=gallery.describe(name).name, observations=list(added))


@router.post("/v1/merge", openapi_extra=describe_json(MergeRequest))
async def merge(
    caller: Writer, context: WritableContext, body: Annotated[MergeRequest, json_body(MergeRequest)]
) -> IdentitySummary:
    """`other` turns out to be `into`; can be undone."""

    def task(gallery: Gallery) -> IdentitySummary:
        require_identity(gallery, body.into)
        require_identity(gallery, body.other)
        return IdentitySummary.of(gallery.merge(body.into, body.other, actor=caller.name))

    return await context.run(task)


@router.post("/v1/split", openapi_extra=describe_json(SplitRequest))
async def split(
    caller: Writer, context: WritableContext, body: Annotated[SplitRequest, json_body(SplitRequest)]
) -> IdentitySummary:
    """Move observations that turn out to be somebody else to a new identity; can be undone."""

    def task(gallery: Gallery) -> IdentitySummary:
        made = gallery.split(
            body.identity, body.observations, sightings=body.sightings, name=body.name, actor=caller.name
        )
        return IdentitySummary.of(made)

    return await context.run(task)


@router.post("/v1/update", openapi_extra=describe_json(UpdateRequest))
async def update(
    caller: Writer, context: WritableContext, body: Annotated[UpdateRequest, json_body(UpdateRequest)]
) -> IdentitySummary:
    """Change an identity's name, notes, consent or retention date; can be undone."""

    def task(gallery: Gallery) -> IdentitySummary:
        require_identity(gallery, body.identity)
        changes = body.model_dump(exclude={"identity"})
        return IdentitySummary.of(gallery.update(body.identity, **changes, actor=caller.name))

    return await context.run(task)


@router.post("/v1/forget", openapi_extra=describe_json(ForgetRequest))
async def forget(
    caller: Admin, context: WritableContext, body: Annotated[ForgetRequest, json_body(ForgetRequest)]
) -> ForgetResponse:
    """Erase an identity: vectors, pictures, names, notes. Cannot be undone."""

    def task(gallery: Gallery) -> ForgetResponse:
        require_identity(gallery, body.identity)
        erased = gallery.forget(body.identity, actor=caller.name)
        return ForgetResponse(observations=erased.observations, sightings=erased.sightings, pending=erased.pending)

    if body.confirm != body.identity:
        raise ServiceError(422, "to forget somebody for good, repeat the name as 'confirm'")
    return await context.run(task)

"""What changes the gallery. An answer of success means that the change is on the disk."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from passerby.gallery.gallery import Gallery
from passerby.gallery.records import Note, Sighting
from passerby.gallery.service.forms import describe_form, read_form
from passerby.gallery.service.json_bodies import describe_json, read_json
from passerby.gallery.service.keys import Key
from passerby.gallery.service.messages import (
    About,
    Answer,
    Decision,
    Enroll,
    Enrolled,
    EnrollVectors,
    Entry,
    Forget,
    Gone,
    Merge,
    Observe,
    ObserveVectors,
    Person,
    Purged,
    Seen,
    SetThreshold,
    Split,
    Undo,
    Update,
)
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.routes.looking import about_gallery
from passerby.gallery.service.routes.parts import (
    PROBLEMS,
    checked_vectors,
    checked_write,
    needs,
    open_pictures,
    require,
    service_of,
)
from passerby.gallery.service.state import Service

router = APIRouter(tags=["change"], responses=PROBLEMS)
Writer = Annotated[Key, Depends(needs("write"))]
Admin = Annotated[Key, Depends(needs("admin"))]


@router.post("/v1/enroll", status_code=201, openapi_extra=describe_form(Enroll))
async def enroll(request: Request, caller: Writer) -> Enrolled:
    """Add pictures to an identity, which is made if there is none of this name."""
    service = service_of(request)
    checked_write(service)
    wanted, uploads = await read_form(service, request, Enroll)

    def task(gallery: Gallery) -> tuple[int, ...]:
        return gallery.enroll(images=open_pictures(service, uploads), **dict(wanted), actor=caller.name)

    return Enrolled(identity=wanted.identity, observations=list(await service.work(task)))


@router.post("/v1/enroll/vectors", status_code=201, openapi_extra=describe_json(EnrollVectors))
async def enroll_vectors(request: Request, caller: Writer) -> Enrolled:
    """Add vectors of this gallery's encoder to an identity."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, EnrollVectors)
    checked_vectors(service, wanted.vectors)
    added = await service.work(lambda gallery: gallery.enroll(**dict(wanted), actor=caller.name))
    return Enrolled(identity=wanted.identity, observations=list(added))


@router.post("/v1/observe", openapi_extra=describe_form(Observe))
async def observe(request: Request, caller: Writer) -> Seen:
    """Identify one person (several pictures are a tracklet); whoever is unknown is enrolled as a new unknown."""
    service = service_of(request)
    checked_write(service)
    wanted, uploads = await read_form(service, request, Observe)

    def task(gallery: Gallery) -> Seen:
        pictures = open_pictures(service, uploads)
        return _seen(service, gallery.observe(pictures, **dict(wanted), actor=caller.name), request)

    return await service.work(task)


@router.post("/v1/observe/vectors", openapi_extra=describe_json(ObserveVectors))
async def observe_vectors(request: Request, caller: Writer) -> Seen:
    """Identify by vectors; whoever is unknown is enrolled as a new unknown."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, ObserveVectors)
    vectors = checked_vectors(service, wanted.vectors)
    told: dict[str, Any] = {**wanted.model_dump(exclude={"vectors"}), "actor": caller.name}
    return await service.work(lambda gallery: _seen(service, gallery.observe(vectors, **told), request))


def _seen(service: Service, sighting: Sighting, request: Request) -> Seen:
    found = sighting.identification
    answer = Answer.of(found, service.band(found.threshold), request.state.request)
    service.metrics.verdict(answer.verdict)
    return Seen(identity=sighting.identity, new=sighting.new, observations=list(sighting.observations), answer=answer)


@router.post("/v1/merge", openapi_extra=describe_json(Merge))
async def merge(request: Request, caller: Writer) -> Person:
    """`other` turns out to be `into`; can be undone."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Merge)

    def task(gallery: Gallery) -> Person:
        require(gallery, wanted.into)
        require(gallery, wanted.other)
        return Person.of(gallery.merge(wanted.into, wanted.other, actor=caller.name))

    return await service.work(task)


@router.post("/v1/split", openapi_extra=describe_json(Split))
async def split(request: Request, caller: Writer) -> Person:
    """Move observations that turn out to be somebody else to a new identity; can be undone."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Split)

    def task(gallery: Gallery) -> Person:
        return Person.of(gallery.split(wanted.identity, wanted.observations, name=wanted.name, actor=caller.name))

    return await service.work(task)


@router.post("/v1/update", openapi_extra=describe_json(Update))
async def update(request: Request, caller: Writer) -> Person:
    """Change an identity's name, notes, consent or retention date; can be undone."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Update)

    def task(gallery: Gallery) -> Person:
        require(gallery, wanted.identity)
        changes = wanted.model_dump(exclude={"identity"})
        return Person.of(gallery.update(wanted.identity, **changes, actor=caller.name))

    return await service.work(task)


@router.post("/v1/undo", openapi_extra=describe_json(Undo))
async def undo(request: Request, caller: Writer) -> Entry:
    """Take back the last change, or one that nothing later builds upon."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Undo)
    return await service.work(lambda gallery: Entry.of(gallery.undo(wanted.event, actor=caller.name)))


@router.post("/v1/decide", status_code=204, openapi_extra=describe_json(Decision))
async def decide(request: Request, caller: Writer) -> None:
    """Note what a person decided about a candidate. To add the picture to the identity, enrol it."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Decision)

    def task(gallery: Gallery) -> None:
        require(gallery, wanted.identity)
        detail: dict[str, float | str] = {"request": wanted.request, "distance": round(wanted.distance, 6)}
        service.audit(gallery, [Note(wanted.decision, wanted.identity, caller.name, detail)])

    await service.work(task)


@router.post("/v1/forget", openapi_extra=describe_json(Forget))
async def forget(request: Request, caller: Admin) -> Gone:
    """Erase an identity: vectors, pictures, names, notes. Cannot be undone."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, Forget)

    def task(gallery: Gallery) -> Gone:
        require(gallery, wanted.identity)
        gone = gallery.forget(wanted.identity, actor=caller.name)
        return Gone(observations=gone.observations, pending=gone.pending)

    if wanted.confirm != wanted.identity:
        raise Refusal(422, "to forget somebody for good, repeat the name as 'confirm'")
    return await service.work(task)


@router.post("/v1/purge")
async def purge(request: Request, caller: Admin) -> Purged:
    """Forget everyone whose retention date has come. Cannot be undone."""
    service = service_of(request)
    checked_write(service)

    def task(gallery: Gallery) -> Purged:
        gone = gallery.purge(actor=caller.name)
        return Purged(identities=list(gone.identities), observations=gone.observations, pending=gone.pending)

    return await service.work(task)


@router.post("/v1/threshold", openapi_extra=describe_json(SetThreshold))
async def set_threshold(request: Request, caller: Admin) -> About:
    """Give the gallery its own threshold, or (null) the encoder's; can be undone."""
    service = service_of(request)
    checked_write(service)
    wanted = await read_json(service, request, SetThreshold)

    def task(gallery: Gallery) -> About:
        gallery.set_threshold(wanted.threshold, actor=caller.name)
        return about_gallery(service, gallery, caller)

    return await service.work(task)

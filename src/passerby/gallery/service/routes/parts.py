"""What endpoints share: the service, the caller's key, pictures and moments of a form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from passerby.gallery.gallery import Gallery
from passerby.gallery.service.keys import Key
from passerby.gallery.service.messages import Problem
from passerby.gallery.service.pictures import open_picture
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.state import Service
from passerby.pixels import UInt8Array

_BEARER = HTTPBearer(auto_error=False, description="an API key; X-API-Key is understood, too")

_REASONS = {
    400: "not a request that can be read",
    401: "no valid key",
    403: "the key's role does not allow it",
    404: "no such thing",
    408: "the body came too slowly",
    409: "the first request of this Idempotency-Key is still being worked on",
    410: "the request of this Idempotency-Key was done, and its answer is no longer kept",
    413: "too many bytes, values or pixels",
    414: "the address is too long",
    415: "not a JPEG, PNG or WebP picture",
    422: "something in the request is not what it should be",
    429: "too many requests with this key",
    431: "too many or too long headers",
    503: "overloaded, or the gallery cannot be used now",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text} for status, text in _REASONS.items()
}
"""Answers that every endpoint may give."""


def service_of(request: Request) -> Service:
    """The service that the request came to."""
    service: Service = request.app.state.service
    return service


def needs(role: str) -> Callable[..., Awaitable[Key]]:
    """A dependency: the caller's key, if its role includes `role`."""

    async def check(request: Request, _: Annotated[Any, Depends(_BEARER)]) -> Key:
        key: Key = request.state.caller
        if not key.may(role):
            raise Refusal(403, f"this needs a key of the role {role!r}; {key.name!r} has {key.role!r}")
        return key

    return check


def checked_write(service: Service) -> None:
    """Refuse at once what a gallery that is only read cannot do."""
    if service.gallery.read_only:
        raise Refusal(403, "this service only reads its gallery")


def require(gallery: Gallery, name: str) -> None:
    """404 where there is no identity of this name."""
    if name not in gallery:
        raise Refusal(404, f"no identity {name!r} (names are case-sensitive)")


def open_pictures(service: Service, uploads: Sequence[bytes]) -> list[UInt8Array]:
    """Decode uploads, each checked before."""
    return [open_picture(data, i, max_pixels=service.limits.pixels) for i, data in enumerate(uploads)]


def checked_vectors(service: Service, vectors: list[list[float]]) -> list[list[float]]:
    """Not more vectors than a tracklet may have, all of one length."""
    if len(vectors) > service.limits.images:
        raise Refusal(413, f"{len(vectors)} vectors are more than the limit of {service.limits.images}")
    return vectors

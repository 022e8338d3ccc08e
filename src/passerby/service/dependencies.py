"""FastAPI dependencies of the endpoints: the service's context, the caller's key, a checked body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from passerby.array_types import UInt8
from passerby.gallery.gallery import Gallery
from passerby.service.api_keys import Key
from passerby.service.context import ServiceContext
from passerby.service.errors import MAX_FIELD_NAME, ServiceError
from passerby.service.json_bodies import bounds_of, check_content_type, parse_json
from passerby.service.multipart import boundary_of, parse_form
from passerby.service.schemas import ErrorResponse
from passerby.service.uploads import open_image

_BEARER = HTTPBearer(auto_error=False, description="an API key; X-API-Key is understood, too")
Model = TypeVar("Model", bound=BaseModel)

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
    415: "not a JPEG, PNG or WebP picture, or a compressed body",
    422: "something in the request is not what it should be",
    429: "too many requests with this key",
    431: "too many or too long headers",
    503: "overloaded, or the gallery cannot be used now",
}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text} for status, text in _REASONS.items()
}
"""Answers that every endpoint may give."""


async def get_context(request: Request) -> ServiceContext:
    """The context of the service that the request came to; 422 where its address has a parameter that nobody reads."""
    if request.query_params and hasattr(request.state, "caller"):  # what needs no key may be asked with anything
        _check_query(request)
    context: ServiceContext = request.app.state.context
    return context


def _check_query(request: Request) -> None:
    """A misspelled filter must not be taken for none."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            expected = f"this endpoint knows {', '.join(sorted(known))}" if known else "this endpoint has none"
            raise ServiceError(422, f"query.{name[:MAX_FIELD_NAME]}: no such parameter; {expected}")


Context: TypeAlias = Annotated[ServiceContext, Depends(get_context)]


async def get_writable_context(context: Context) -> ServiceContext:
    """The same, of a service that may change its gallery; else 403."""
    if context.gallery.read_only:
        raise ServiceError(403, "this service only reads its gallery")
    return context


WritableContext: TypeAlias = Annotated[ServiceContext, Depends(get_writable_context)]


def require_role(role: str) -> Callable[..., Awaitable[Key]]:
    """A dependency: the caller's key, if its role includes `role`; else 403."""

    async def check(request: Request, _: Annotated[Any, Depends(_BEARER)]) -> Key:
        key: Key = request.state.caller
        if not key.may(role):
            raise ServiceError(403, f"this needs a key of the role {role!r}; {key.name!r} has {key.role!r}")
        return key

    return check


Reader: TypeAlias = Annotated[Key, Depends(require_role("read"))]
Writer: TypeAlias = Annotated[Key, Depends(require_role("write"))]
Admin: TypeAlias = Annotated[Key, Depends(require_role("admin"))]
"""The caller's key. In a signature it comes first: FastAPI resolves dependencies in order, and roles are checked before
bodies are parsed."""


def json_body(model: type[Model]) -> Any:
    """A dependency: the JSON body of the request, checked against `model`.

    400 nested too deeply; 413 more bytes or values than the model can need; 415 compressed; 422 not JSON, or a wrong
    field.
    """

    async def read(request: Request, context: Context) -> Model:
        _check_encoding(request)
        check_content_type(request.headers.get("content-type", ""))
        bounds = bounds_of(model, vectors=context.limits.images, dim=context.encoder.dim)
        content = await request.body()
        checked = await context.parse(partial(parse_json, content, model, bounds), len(content))
        vectors: Sequence[Sequence[float]] = getattr(checked, "vectors", ())
        if len(vectors) > context.limits.images:
            raise ServiceError(413, f"{len(vectors)} vectors are more than the limit of {context.limits.images}")
        return checked

    return Depends(read)


def form_body(fields: type[Model]) -> Any:
    """A dependency: the fields of a form, checked against a model, and the bytes of its images.

    400 not a form; 413 too many images; 415 compressed; 422 no image, or a wrong field.
    """

    async def read(request: Request, context: Context) -> tuple[Model, list[bytes]]:
        _check_encoding(request)
        boundary = boundary_of(request.headers.get("content-type", ""))
        content = await request.body()
        task = partial(parse_form, content, boundary, fields, context.limits.images)
        return await context.parse(task, len(content))

    return Depends(read)


def _check_encoding(request: Request) -> None:
    """415 for a compressed body: what it would become is not bounded."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ServiceError(415, "bodies are not decompressed; send it as it is, without Content-Encoding")


def require_identity(gallery: Gallery, name: str) -> None:
    """404 where there is no identity of this name."""
    if name not in gallery:
        raise ServiceError(404, f"no identity {name!r} (names are case-sensitive)")


def open_images(context: ServiceContext, uploads: Sequence[bytes]) -> list[UInt8]:
    """Decode uploads, each checked before."""
    bits, most = context.encoder.preprocessing.bits, context.limits.pixels
    return [open_image(data, i, max_pixels=most, bits=bits) for i, data in enumerate(uploads)]

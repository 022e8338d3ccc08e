"""The application: routes behind the gate, errors as JSON, the operator's page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

import passerby
from passerby.errors import (
    ConfigError,
    GalleryError,
    GalleryRequestError,
    ImageError,
    NotInGalleryError,
    PasserbyError,
    StorageError,
)
from passerby.gallery.service.gate import Gate
from passerby.gallery.service.keys import Key, KeyRing, digest_of
from passerby.gallery.service.limits import Limits
from passerby.gallery.service.refusal import Refusal, problems
from passerby.gallery.service.routes import asking, changing, looking
from passerby.gallery.service.state import Service
from passerby.models.encoder import Encoder

_WEB = Path(__file__).parents[1] / "web"
_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def create_app(
    gallery: str | os.PathLike[str],
    encoder: Encoder,
    *,
    keys: str | os.PathLike[str] | Mapping[str, str],
    limits: Limits | None = None,
    read_only: bool = False,
) -> FastAPI:
    """An ASGI application that serves one gallery; it opens the gallery now and closes it when it is shut down.

    Args:
        gallery: as for `Gallery.open`.
        encoder: turns images into vectors.
        keys: a keys file (see `add_key`), or {token: role} for tests.
        limits: bounds; default `Limits()`.
        read_only: refuse every change.

    Raises:
        ConfigError: the keys cannot be read.
        GalleryError: the gallery cannot be opened with this encoder.
        StorageError: it cannot be made.
    """
    limits = limits or Limits()
    service = Service(gallery, encoder, keys=_ring(keys, limits), limits=limits, read_only=read_only)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    # Forms of more than a megabyte would be spooled to temporary files: pictures of people stay in memory, where the
    # gate has already bounded them.
    MultiPartParser.spool_max_size = limits.body_bytes + 1
    app = FastAPI(
        title="passerby",
        version=passerby.__version__,
        description="Open-set identification of people: who is this, among those enrolled, or nobody known?",
        lifespan=lifespan,
        docs_url=None,  # its scripts come from elsewhere; this service works without a network
        redoc_url=None,
    )
    app.state.service = service
    routers = (asking.router, changing.router, looking.router)
    app.add_middleware(Gate, service=service, bodies=frozenset(path for one in routers for path in _with_bodies(one)))
    for router in routers:
        app.include_router(router)
    for path, (name, kind) in _PAGE.items():
        app.add_api_route(path, _file((_WEB / name).read_bytes(), kind), methods=["GET"], include_in_schema=False)
    for kind_of_error, handler in _HANDLERS.items():
        app.add_exception_handler(kind_of_error, handler)
    return app


def _ring(keys: str | os.PathLike[str] | Mapping[str, str], limits: Limits) -> KeyRing:
    if isinstance(keys, Mapping):
        extra = [Key(f"key-{i}", role, digest_of(token)) for i, (token, role) in enumerate(keys.items(), 1)]
        return KeyRing(None, extra=extra, rate=limits.rate)
    return KeyRing(keys, rate=limits.rate)


def _with_bodies(router: APIRouter) -> Iterator[str]:
    """Paths of endpoints that describe a body; those of all others are never read."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "requestBody" in (route.openapi_extra or {}):
            yield route.path


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    def answer() -> Response:
        return Response(content, media_type=kind)

    return answer


# -- errors --------------------------------------------------------------------------------------------------------


def _problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail, "request": request.state.request}, status, headers=headers)


def _refused(request: Request, error: Exception) -> JSONResponse:
    refusal = error if isinstance(error, Refusal) else Refusal(500, "")
    return _problem(request, refusal.status, str(refusal), refusal.headers)


def _failed(request: Request, error: Exception) -> JSONResponse:
    """What the gallery or the encoder refuses: the caller's fault is 4xx, trouble of the store is 503."""
    service: Service = request.app.state.service
    message = service.gallery.clean(str(error))
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _problem(request, status, message, {"Retry-After": "30"} if status == 503 else None)


_STATUS = (
    (NotInGalleryError, 404),
    ((GalleryRequestError, ImageError, ConfigError), 422),
    ((GalleryError, StorageError), 503),  # damaged, closed, gone, full: no request can help
)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Which fields are wrong, without repeating what was in them."""
    return _problem(request, 422, problems(error.errors()) if isinstance(error, RequestValidationError) else "")


def _http(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, HTTPException) else HTTPException(500)
    return _problem(request, known.status_code, str(known.detail), known.headers)


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    Refusal: _refused,
    PasserbyError: _failed,
    RequestValidationError: _invalid,
    HTTPException: _http,
}

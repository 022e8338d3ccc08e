"""The ASGI application: routes behind the middleware, errors as JSON, the operator's page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import get_args

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from fastapi.routing import APIRoute

from passerby.errors import ConfigError
from passerby.models.encoder import Encoder
from passerby.service.api_keys import ROLES, Key, digest_of
from passerby.service.authentication import Authenticator
from passerby.service.context import AuditReads, ServiceContext
from passerby.service.error_handlers import ERROR_HANDLERS
from passerby.service.idempotency import IdempotencyMiddleware
from passerby.service.limits import Limits
from passerby.service.middleware import RequestMiddleware
from passerby.service.page_files import PAGE, WEB
from passerby.service.routes import (
    calibration,
    events,
    history,
    identify,
    identities,
    observations,
    sightings,
    system,
    tracklets,
)
from passerby.service.routes import gallery as gallery_routes
from passerby.service.webhooks import Webhook, read_webhooks
from passerby.version import __version__

ROUTERS = (
    identify.router,
    identities.router,
    observations.router,
    tracklets.router,
    sightings.router,
    events.router,
    gallery_routes.router,
    calibration.router,
    history.router,
    system.router,
)


def create_app(
    gallery: str | os.PathLike[str],
    encoder: Encoder,
    *,
    keys: str | os.PathLike[str] | Mapping[str, str],
    limits: Limits | None = None,
    read_only: bool = False,
    webhooks: str | os.PathLike[str] | Sequence[Webhook] = (),
    audit_reads: AuditReads = "pictures",
) -> FastAPI:
    """An ASGI application that serves one gallery; it opens the gallery now and closes it when it is shut down.

    Args:
        gallery: as for `Gallery.open`.
        encoder: turns images into vectors.
        keys: a keys file (see `add_key`), or {token: role} for tests.
        limits: bounds; default `Limits()`.
        read_only: refuse every change.
        webhooks: where new sightings are sent: webhooks, or a file of them (see `read_webhooks`).
        audit_reads: which readings are written to the audit: "nothing", "pictures", or "everything" (names and history,
            too).

    Raises:
        ConfigError: the webhooks or keys cannot be read, or a role or `audit_reads` is none of those there are.
        GalleryError: the gallery cannot be opened with this encoder.
        StorageError: it cannot be made.
    """
    if audit_reads not in get_args(AuditReads):
        raise ConfigError(f"audit_reads: expected one of {', '.join(get_args(AuditReads))}, found {audit_reads!r}")
    limits = limits or Limits()
    hooks = read_webhooks(webhooks) if isinstance(webhooks, (str, os.PathLike)) else webhooks
    context = ServiceContext(
        gallery,
        encoder,
        keys=_authenticator(keys),
        limits=limits,
        read_only=read_only,
        webhooks=hooks,
        audit_reads=audit_reads,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        context.start()
        yield
        context.stop()
        context.close()

    app = FastAPI(
        title="passerby",
        version=__version__,
        description="Open-set identification of people: who is this, among those enrolled, or nobody known?",
        lifespan=lifespan,
        docs_url=None,  # its scripts come from elsewhere; this service works without a network
        redoc_url=None,
        redirect_slashes=False,  # to an address that the Host header names
    )
    app.state.context = context
    # the last one added is called first
    app.add_middleware(IdempotencyMiddleware, context=context)
    with_body = frozenset(path for router in ROUTERS for path in _paths_with_body(router))
    app.add_middleware(RequestMiddleware, context=context, paths_with_body=with_body)
    # not `include_router`: FastAPI would build every route again, at the first request, in the event loop
    app.routes.extend(route for router in ROUTERS for route in router.routes)
    for path, (name, kind) in PAGE.items():
        app.add_api_route(path, _file((WEB / name).read_bytes(), kind), methods=["GET"], include_in_schema=False)
    for kind_of_error, handler in ERROR_HANDLERS.items():
        app.add_exception_handler(kind_of_error, handler)
    return app


def _authenticator(keys: str | os.PathLike[str] | Mapping[str, str]) -> Authenticator:
    if isinstance(keys, Mapping):
        for role in keys.values():
            if role not in ROLES:
                raise ConfigError(f"keys: expected a role of {', '.join(ROLES)}, found {role!r}")
        return Authenticator(
            None, extra=[Key(f"key-{i}", role, digest_of(token)) for i, (token, role) in enumerate(keys.items(), 1)]
        )
    return Authenticator(keys)


def _paths_with_body(router: APIRouter) -> Iterator[str]:
    """Paths of endpoints that describe a body; the bodies of all others are never read."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "requestBody" in (route.openapi_extra or {}):
            yield route.path


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    def answer() -> Response:
        return Response(content, media_type=kind)

    return answer

"""Exceptions of endpoints as JSON answers: `detail` and the request's id."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from passerby.errors import (
    ConfigError,
    GalleryError,
    GalleryRequestError,
    ImageError,
    NotInGalleryError,
    PasserbyError,
    StorageError,
)
from passerby.service.context import ServiceContext
from passerby.service.errors import ServiceError, validation_message

_STATUS = (
    (NotInGalleryError, 404),
    ((GalleryRequestError, ImageError, ConfigError), 422),
    ((GalleryError, StorageError), 503),  # damaged, closed, gone, full: no request can help
)


def _answer(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail, "request": request.state.request_id}, status, headers=headers)


def _on_service_error(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, ServiceError) else ServiceError(500, "")
    return _answer(request, known.status, str(known), known.headers)


def _on_package_error(request: Request, error: Exception) -> JSONResponse:
    """An error of the gallery or the encoder: 4xx where another request can succeed, 503 for trouble of the store.

    Any other is a fault of the service (a model that gives NaN), and its message may name a file of this machine.
    """
    context: ServiceContext = request.app.state.context
    message = context.gallery.without_location(str(error))
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        raise error  # RequestMiddleware logs and answers it
    return _answer(request, status, message, {"Retry-After": "30"} if status == 503 else None)


def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Which parameters are wrong, without repeating their values."""
    return _answer(
        request, 422, validation_message(error.errors()) if isinstance(error, RequestValidationError) else ""
    )


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, HTTPException) else HTTPException(500)
    if known.status_code == 404:
        return _answer(request, 404, "no such path; /openapi.json describes those that there are")
    if known.status_code == 405:
        allowed = _methods_of(request)
        return _answer(request, 405, f"expected {' or '.join(allowed)} for this path", {"Allow": ", ".join(allowed)})
    return _answer(request, known.status_code, str(known.detail), known.headers)


def _methods_of(request: Request) -> list[str]:
    """Methods of all routes of this path; Starlette's answer has those of the first one only."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in route.methods or ()})


ERROR_HANDLERS: dict[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    ServiceError: _on_service_error,
    PasserbyError: _on_package_error,
    RequestValidationError: _on_invalid_request,
    HTTPException: _on_http_error,
}
"""Handlers of `FastAPI.add_exception_handler`, by class."""

"""Every request passes here first: key, rate, size and time are checked before anything is parsed.

No body is read before the key is known, and none of an endpoint that takes none. An answer that is sent before the
whole request was read closes the connection.
"""

from __future__ import annotations

import json
import logging
import secrets
import time as clock
from typing import Any

from passerby.service import logs
from passerby.service.api_keys import Key
from passerby.service.asgi import App, Message, Receive, Scope, Send
from passerby.service.authentication import token_of
from passerby.service.context import ServiceContext
from passerby.service.errors import ServiceError
from passerby.service.idempotency import UNCHANGING
from passerby.service.page_files import PAGE
from passerby.service.request_bodies import ClientDisconnected, RequestBody, close_if_unread
from passerby.service.request_head import check_request_head
from passerby.service.security_headers import SECURITY_HEADERS as SECURITY_HEADERS

OPEN_PATHS = frozenset({*PAGE, "/health", "/ready", "/openapi.json"})
"""Paths without a key: the page (not the data it shows), liveness, and the description of the API."""
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_SMALL_BODY = 64 * 1024  # bytes, which have mostly arrived with the headers
_CLIENT_CLOSED_REQUEST = 499  # nginx's status for the log of a request that got no answer


class RequestMiddleware:
    """Outermost ASGI middleware of a service: checks requests, adds headers to answers, logs and counts them.

    It sets `state` of the request: `request_id`, `caller` (a `Key`; absent on `OPEN_PATHS`) and `body`.

    Args:
        app: what it calls.
        context: of the service.
        paths_with_body: whose POST takes a body.
    """

    def __init__(self, app: App, context: ServiceContext, paths_with_body: frozenset[str]) -> None:
        self._app = app
        self._context = context
        self._paths_with_body = paths_with_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = clock.perf_counter()
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = _CLIENT_CLOSED_REQUEST
        body = RequestBody(dict(scope["headers"]), receive, self._context.bodies, self._context.limits)
        send_and_close = close_if_unread(send, body)

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), *_ENCODED]
                message["headers"] = [*message.get("headers", []), *own]
            await send_and_close(message)

        try:
            await self._checked(scope, receive, reply, body)
        except ServiceError as error:
            await _answer_error(reply, error, request_id)
        except ClientDisconnected:
            pass
        except Exception:  # of any class: a fault of the service must not close the connection without an answer
            logs.write("fault", {"request": request_id}, level=logging.ERROR, trace=True)
            if status == _CLIENT_CLOSED_REQUEST:
                await _answer_error(
                    reply, ServiceError(500, "a fault of the service; its log has the details"), request_id
                )
        finally:
            body.release()
            self._record(scope, status, clock.perf_counter() - started)

    async def _checked(self, scope: Scope, receive: Receive, send: Send, request_body: RequestBody) -> None:
        check_request_head(scope)
        state = scope["state"]
        if scope["path"] not in OPEN_PATHS:
            key = self._context.keys.find(token_of(dict(scope["headers"])))
            state["caller"] = key
            self._context.rates.count(key)
        takes_body = scope["method"] == "POST" and scope["path"] in self._paths_with_body
        if takes_body and scope["path"] in UNCHANGING and self._context.full:
            await self._refuse(request_body)
        body = await request_body.read() if takes_body else b""
        state["body"] = body
        await self._app(scope, _receive_again(body, receive), send)

    async def _refuse(self, request_body: RequestBody) -> None:
        """503 before anything is parsed. A small body is taken in, so that the connection can go on.

        Requests that change something come as far as the answers that are kept of them.
        """
        if request_body.declared <= _SMALL_BODY and not request_body.chunked:
            await request_body.read()
        raise self._context.too_many()

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log an answer."""
        state = scope["state"]
        route = getattr(scope.get("route"), "path", None) or (scope["path"] if scope["path"] in OPEN_PATHS else "other")
        # the method comes from the caller: an invented one must not make a new counter each time
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else "other"
        self._context.metrics.count_request(method, route, status, seconds)
        caller: Key | None = state.get("caller")
        fields: dict[str, Any] = {
            "request": state["request_id"],
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "key": None if caller is None else caller.name,
            "client": (scope.get("client") or ("",))[0],
            "bytes": len(state.get("body", b"")),
        }
        logs.write("request", fields, level=logging.WARNING if status >= 500 else logging.INFO)


def _receive_again(body: bytes, receive: Receive) -> Receive:
    """ASGI's `receive` for a body that was read already; then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer_error(send: Send, error: ServiceError, request_id: str) -> None:
    body = json.dumps({"detail": str(error), "request": request_id}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **error.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})

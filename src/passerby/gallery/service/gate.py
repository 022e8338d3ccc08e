"""Every request passes here first: key, rate, size and time are checked before anything is parsed.

No body is read before the key is known, and none of an endpoint that takes none. An answer that goes out before the
whole request came in ends the connection.
"""

from __future__ import annotations

import json
import logging
import secrets
import time as clock
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from passerby.errors import GalleryError, StorageError
from passerby.gallery.gallery import Gallery
from passerby.gallery.records import Note
from passerby.gallery.service import logs
from passerby.gallery.service.bodies import ClientLeft, Incoming, Message, Receive, Send, closing
from passerby.gallery.service.heads import check_head
from passerby.gallery.service.keys import Key
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.replays import ALTERING, ASKING, Attempt, Replays, altered_since, gone
from passerby.gallery.service.state import Service

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/", "/app.css", "/app.js", "/icon.svg", "/health", "/ready", "/openapi.json"})
"""What may be had without a key: the page (not what it shows), liveness, and the description of the API."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_CLIENT_LEFT = 499


class Gate:
    """ASGI middleware around the application of a service; `bodies`: the paths whose POST takes a body."""

    def __init__(self, app: App, service: Service, bodies: frozenset[str]) -> None:
        self._app = app
        self._bodies = bodies
        self._service = service
        self._replays = Replays()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = clock.perf_counter()
        request = secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state["request"] = request
        status = _CLIENT_LEFT
        incoming = Incoming(dict(scope["headers"]), receive, self._service.bodies, self._service.limits)
        send_closing = closing(send, incoming)

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request.encode()), *_ENCODED]
                message["headers"] = [*message.get("headers", []), *own]
            await send_closing(message)

        try:
            await self._admit(scope, receive, reply, state, incoming)
        except Refusal as refusal:
            await _refuse(reply, refusal, request)
        except ClientLeft:
            pass
        except Exception:  # the last door: a fault of ours must not take the connection down unexplained
            logs.write("fault", {"request": request}, level=logging.ERROR, trace=True)
            if status == _CLIENT_LEFT:
                await _refuse(reply, Refusal(500, "a fault of the service; its log says more"), request)
        finally:
            incoming.release()
            self._note(scope, state, request, status, clock.perf_counter() - started)

    async def _admit(
        self, scope: Scope, receive: Receive, send: Send, state: dict[str, Any], incoming: Incoming
    ) -> None:
        check_head(scope)
        headers = dict(scope["headers"])
        if scope["path"] not in OPEN_PATHS:
            key = self._service.keys.find(_token(headers))
            state["caller"] = key
            self._service.keys.spend(key)
        takes_body = scope["method"] == "POST" and scope["path"] in self._bodies
        body = await incoming.read() if takes_body else b""
        state["bytes"] = len(body)
        mark = headers.get(b"idempotency-key")
        if mark is None or scope["method"] != "POST" or "caller" not in state or scope["path"] in ASKING:
            await self._app(scope, _replay(body, receive), self._giving_up(scope, send))
        else:
            await self._once(mark, scope, body, receive, send)

    async def _once(self, mark: bytes, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Do a marked request, or repeat the answer that it got before."""
        caller, request = scope["state"]["caller"], scope["state"]["request"]
        attempt, repeated = self._replays.begin(caller, mark, request, scope["path"], body)
        if repeated:
            for message in await self._kept(attempt, caller, request):
                await send(dict(message))
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            if not answer:  # before the caller can know, and have somebody forgotten elsewhere
                attempt.answered = clock.time()
            answer.append(dict(message))
            await send(message)

        try:
            await self._app(scope, _replay(body, receive), self._giving_up(scope, keep, attempt))
        finally:
            self._replays.end(caller, mark, attempt, answer)

    async def _kept(self, attempt: Attempt, caller: Key, request: str) -> list[Message]:
        """The answer that an attempt got, once it is on record that it is given again."""
        answer = attempt.answer

        def task(gallery: Gallery) -> None:
            if altered_since(gallery, attempt.answered):
                raise gone()
            detail = {"request": request, "first": attempt.request, "path": attempt.path}
            self._service.audit(gallery, [Note("repeat", None, caller.name, detail)])

        try:
            await self._service.work(task)
        except (GalleryError, StorageError) as error:
            raise Refusal(503, self._service.gallery.clean(str(error)), retry_after=30) from error
        if attempt.overtaken:  # while it was put on record
            raise gone()
        return answer

    def _giving_up(self, scope: Scope, send: Send, own: Attempt | None = None) -> Send:
        """`send`, but before the success of what alters people is acknowledged, kept answers are given up."""
        if scope["method"] != "POST" or scope["path"] not in ALTERING:
            return send

        async def first(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self._replays.give_up(own)
            await send(message)

        return first

    def _note(self, scope: Scope, state: dict[str, Any], request: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or (scope["path"] if scope["path"] in OPEN_PATHS else "other")
        # the method comes from the caller: an invented one must not make a new counter each time
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else "other"
        self._service.metrics.request(method, route, status, seconds)
        caller: Key | None = state.get("caller")
        fields = {
            "request": request,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "key": None if caller is None else caller.name,
            "client": (scope.get("client") or ("",))[0],
            "bytes": state.get("bytes", 0),
        }
        logs.write("request", fields, level=logging.WARNING if status >= 500 else logging.INFO)


def _token(headers: dict[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    other = headers.get(b"x-api-key", b"").decode("latin-1").strip()
    if not other:
        raise Refusal(401, "a key is needed; send it as 'Authorization: Bearer KEY'")
    return other


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, refusal: Refusal, request: str) -> None:
    body = json.dumps({"detail": str(refusal), "request": request}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})

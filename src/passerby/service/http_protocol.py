"""uvicorn's HTTP/1.1 protocol, with bounds on what a client can have parsed before the middleware gets its request.

h11 checks the length of the headers only while they are incomplete, and sockets are read by 256 KiB: fifty thousand
headers, or as many chunks of one byte, would be parsed at once, by the event loop, for a client without a key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from passerby.service import logs
from passerby.service.asgi import App, Receive, Scope, Send
from passerby.service.gathered_writes import GatheredWrites
from passerby.service.request_bodies import LINGER_SECONDS
from passerby.service.security_headers import SECURITY_HEADERS

_PIECE = 16 * 1024  # bytes that h11 gets at once; it refuses headers that need more than one of them beside the last
_FREE_CHUNKS = 1000
_SMALLEST_CHUNK = 1024  # bytes, on average, beyond the free ones


class BoundedConnection(h11.Connection):
    """h11's parser, fed piece by piece as it asks for more, with a bound on the chunks of a body."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting = bytearray()
        self._chunks = self._chunked = 0
        self.status = 400
        """Of the answer to the request that could not be parsed."""

    def receive_data(self, data: bytes) -> None:
        """See h11."""
        if data:
            self._waiting += data
        else:
            super().receive_data(data)

    def next_event(self) -> Any:
        """See h11."""
        try:
            event = super().next_event()
            while event is h11.NEED_DATA and self._waiting:
                super().receive_data(bytes(self._waiting[:_PIECE]))
                del self._waiting[:_PIECE]
                event = super().next_event()
            self._count(event)
        except h11.RemoteProtocolError as error:
            self.status = error.error_status_hint
            raise
        return event

    def _count(self, event: Any) -> None:
        if isinstance(event, h11.Request):
            self._chunks = self._chunked = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._chunked += len(event.data)
            if self._chunks > _FREE_CHUNKS + self._chunked / _SMALLEST_CHUNK:
                raise h11.RemoteProtocolError("a body in too many small chunks")


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol on a `BoundedConnection`; what is not HTTP is answered with JSON like every other error."""

    conn: BoundedConnection

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = BoundedConnection(h11.SERVER, _PIECE)
        most, self.limit_concurrency = self.limit_concurrency, None  # uvicorn's own answer is text without headers
        if most is not None:
            self.app = partial(self._bounded, self.app, most)
        self._failed = False

    async def _bounded(self, app: App, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        """503 for whoever comes when there are too many connections."""
        if len(self.connections) < most and len(self.tasks) <= most:
            await app(scope, receive, send)
            return
        headers, body = _refusal(503, "too many connections", scope.get("client"))
        headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(GatheredWrites(transport, self.loop))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if not self._failed:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, where no answer has begun, and end the connection."""
        self._failed = True
        if self.cycle is not None:
            self.cycle.disconnected = True  # for an endpoint that still reads this body or writes an answer
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        status = self.conn.status
        detail = f"the request's headers are longer than {_PIECE:,} bytes" if status == 431 else msg
        headers, body = _refusal(status, detail, self.client)
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        # closing while the client sends can lose the answer: what it sends is dropped for a moment
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _refusal(status: int, detail: str, client: tuple[str, int] | None) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an answer that no endpoint and no middleware gives; it stands in the log like theirs."""
    request = secrets.token_hex(8)
    body = json.dumps({"detail": detail, "request": request}).encode()
    headers = {**SECURITY_HEADERS, "X-Request-Id": request, "Content-Type": "application/json"}
    headers |= {"Content-Length": str(len(body)), "Connection": "close"}
    fields = {"request": request, "status": status, "client": (client or ("",))[0]}
    logs.write("refused", fields, level=logging.WARNING if status >= 500 else logging.INFO)
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()], body

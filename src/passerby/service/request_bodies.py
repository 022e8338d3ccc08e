"""Request bodies: read only for endpoints that take one, each bounded, and all that are in memory bounded together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from passerby.service.asgi import Message, Receive, Send
from passerby.service.errors import ServiceError
from passerby.service.limits import Limits

LINGER_SECONDS = 2.0
"""How long a connection stays open for a client that still sends a body after its answer."""


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


class BodiesInFlight:
    """Counts the bytes of bodies that are in memory, over all connections. Used by the event loop only.

    Args:
        limits: `body_bytes` of one body, `bodies_bytes` of all; one body always fits.
    """

    def __init__(self, limits: Limits) -> None:
        self.held = 0
        self._most = max(limits.bodies_bytes, limits.body_bytes)

    def take(self, size: int) -> None:
        """Count some more bytes.

        Raises:
            ServiceError: 503, more than fit beside the others.
        """
        if self.held + size > self._most:
            raise ServiceError(503, "too many bytes of requests are being worked on", retry_after=1)
        self.held += size

    def release(self, size: int) -> None:
        """These bytes are out of memory."""
        self.held -= size


class RequestBody:
    """The body of one request, which is read only if an endpoint takes one.

    Args:
        headers: of the request.
        receive: ASGI's.
        in_flight: counts its bytes until `release`.
        limits: of size and time.
    """

    def __init__(
        self, headers: Mapping[bytes, bytes], receive: Receive, in_flight: BodiesInFlight, limits: Limits
    ) -> None:
        declared = headers.get(b"content-length", b"0").lstrip(b"0")
        self.declared = int(declared[:20]) if declared.isdigit() else 0
        """Bytes that it should have; 0: none, or nobody knows (`chunked`)."""
        self.chunked = b"transfer-encoding" in headers
        self._receive = receive
        self._in_flight = in_flight
        self._limits = limits
        self.size = 0
        self.unread = bool(declared) or self.chunked
        """Whether there is more of it than was read."""
        self.refused = False
        """Whether reading it failed: too large, too slow, or too much beside others."""

    async def read(self) -> bytes:
        """All of it.

        Raises:
            ServiceError: 413 too large; 408 too slow; 503 together with others, too much.
            ClientDisconnected: the client is gone.
        """
        limit, seconds = self._limits.body_bytes, self._limits.body_seconds
        self.refused = True  # until it is there
        if self.declared > limit:
            raise ServiceError(413, f"a body of {self.declared:,} bytes is more than the limit of {limit:,}")
        parts = []
        self.unread = True  # an empty body is read, too
        try:
            async with asyncio.timeout(seconds):
                while self.unread:
                    part = await self._next()
                    if self.size + len(part) > limit:
                        raise ServiceError(413, f"a body of more than {limit:,} bytes")
                    self._in_flight.take(len(part))
                    self.size += len(part)
                    parts.append(part)
        except TimeoutError:
            raise ServiceError(408, f"the body did not arrive within {seconds:g} seconds") from None
        self.refused = False
        return b"".join(parts)

    async def discard(self) -> None:
        """Read and drop the rest for a moment: to close while the client sends can lose the answer (RFC 9112, 9.6)."""
        self.release()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self.unread:
                    await self._next()
        except (TimeoutError, ClientDisconnected):
            return

    def release(self) -> None:
        """Its bytes are not needed any more."""
        self._in_flight.release(self.size)
        self.size = 0

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.unread = False
            raise ClientDisconnected
        self.unread = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


def close_if_unread(send: Send, request_body: RequestBody) -> Send:
    """`send` that closes the connection after an answer to a request whose body was refused or not read to its end."""
    closes = False

    async def reply(message: Message) -> None:
        nonlocal closes
        if message["type"] == "http.response.start" and (request_body.unread or request_body.refused):
            closes = True
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        if closes and message["type"] == "http.response.body" and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await request_body.discard()
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return reply

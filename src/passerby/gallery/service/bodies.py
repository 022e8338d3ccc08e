"""Bodies of requests: read only where one is taken, each bounded, and all that are in memory bounded together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from passerby.gallery.service.limits import Limits
from passerby.gallery.service.refusal import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LINGER_SECONDS = 2.0
"""How long a client may go on sending what was refused."""


class ClientLeft(Exception):
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
            Refusal: 503, they are too many.
        """
        if self.held + size > self._most:
            raise Refusal(503, "too many bytes of requests are being worked on", retry_after=1)
        self.held += size

    def give_back(self, size: int) -> None:
        """These bytes are not needed any more."""
        self.held -= size


class Incoming:
    """The body of one request, which may never be asked for.

    Args:
        headers: of the request.
        receive: ASGI's.
        bodies: counts its bytes until `release`.
        limits: of size and time.
    """

    def __init__(
        self, headers: Mapping[bytes, bytes], receive: Receive, bodies: BodiesInFlight, limits: Limits
    ) -> None:
        declared = headers.get(b"content-length", b"0").lstrip(b"0")
        self._declared = int(declared[:20]) if declared.isdigit() else 0
        self._receive = receive
        self._bodies = bodies
        self._limits = limits
        self.size = 0
        self.unread = bool(declared) or b"transfer-encoding" in headers
        """Whether there is more of it than was read."""
        self.refused = False
        """Whether it was asked for, and found too large, too slow, or too much beside others."""

    async def read(self) -> bytes:
        """All of it.

        Raises:
            Refusal: 413 too large; 408 too slow; 503 together with others, too much.
            ClientLeft: nobody waits for an answer.
        """
        limit, seconds = self._limits.body_bytes, self._limits.body_seconds
        self.refused = True  # until it is there
        if self._declared > limit:
            raise Refusal(413, f"a body of {self._declared:,} bytes is more than the limit of {limit:,}")
        parts = []
        self.unread = True  # an empty body is read, too
        try:
            async with asyncio.timeout(seconds):
                while self.unread:
                    part = await self._next()
                    if self.size + len(part) > limit:
                        raise Refusal(413, f"a body of more than {limit:,} bytes")
                    self._bodies.take(len(part))
                    self.size += len(part)
                    parts.append(part)
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive within {seconds:g} seconds") from None
        self.refused = False
        return b"".join(parts)

    async def discard(self) -> None:
        """Throw the rest away for a moment: to close a connection on a client that still sends loses the answer."""
        self.release()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self.unread:
                    await self._next()
        except (TimeoutError, ClientLeft):
            return

    def release(self) -> None:
        """The request is done with."""
        self._bodies.give_back(self.size)
        self.size = 0

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.unread = False
            raise ClientLeft
        self.unread = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


def closing(send: Send, incoming: Incoming) -> Send:
    """`send`, that ends the connection after an answer to a request whose body was refused or never read."""
    ends = False

    async def reply(message: Message) -> None:
        nonlocal ends
        if message["type"] == "http.response.start" and (incoming.unread or incoming.refused):
            ends = True
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        if ends and message["type"] == "http.response.body" and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await incoming.discard()
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return reply

"""A transport whose small writes go to the socket together.

uvicorn writes the headers of an answer and its body one after the other, and each write is a call of the kernel that
may wake the client: for a short answer, as that to a request that is refused, a good part of its whole cost.
"""

from __future__ import annotations

import asyncio
from typing import Any

_MOST = 64 * 1024  # bytes that are held; a larger write is not copied


class GatheredWrites:
    """Passes everything on to a transport; what is written within one turn of the event loop in one piece.

    Args:
        transport: of an accepted connection.
        loop: the event loop that it belongs to.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio; it goes out at the end of this turn of the loop at the latest."""
        if not self._waiting:
            if len(data) >= _MOST:
                self._transport.write(data)
                return
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _MOST:
            self._flush()

    def write_eof(self) -> None:
        """See asyncio."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """See asyncio."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """See asyncio."""
        self._waiting, self._size = [], 0
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """See asyncio."""
        return self._size + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))

"""The event loop of a service, with a watch over slow clients."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from passerby.service.limits import Limits


async def run(server: uvicorn.Server, listener: socket.socket, limits: Limits) -> None:
    """Serve on `listener` until a signal or `server.should_exit`."""
    watcher = asyncio.create_task(_cut_off_the_slow(server, limits))
    try:
        await server.serve(sockets=[listener])
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def _cut_off_the_slow(server: uvicorn.Server, limits: Limits) -> None:
    """Close connections that dawdle over their headers, or go on sending what was refused.

    uvicorn waits for ever for the rest of a request line; the gate cannot, as it is called when headers are complete.
    """
    since: dict[Any, float] = {}
    while True:
        await asyncio.sleep(min(1.0, limits.header_seconds / 4))
        now = asyncio.get_running_loop().time()
        dawdling = {c for c in server.server_state.connections if isinstance(c, H11Protocol) and _dawdles(c)}
        since = {connection: since.get(connection, now) for connection in dawdling}
        for connection, started in since.items():
            if now - started >= limits.header_seconds:
                connection.transport.close()


def _dawdles(connection: H11Protocol) -> bool:
    if connection.transport is None or connection.transport.is_closing():
        return False
    before_request = connection.conn.their_state is h11.IDLE
    begun = bool(connection.conn.trailing_data[0]) or connection.scope is None
    refused = connection.conn.our_state is h11.DONE and connection.conn.their_state is h11.SEND_BODY
    return (before_request and begun) or refused

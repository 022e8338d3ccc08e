"""Running the HTTP server with timeouts that uvicorn does not have: for headers, and for bodies after an answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from passerby.service.limits import Limits


async def run_server(
    server: uvicorn.Server,
    listener: socket.socket,
    limits: Limits,
    *,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve on `listener` until a signal or `server.should_exit`.

    Args:
        server: of uvicorn.
        listener: a listening socket.
        limits: times.
        on_stop: called when the service stops, before it waits for requests in flight: ends streams that would go on.
    """
    tasks = [
        asyncio.create_task(_close_slow_connections(server, limits)),
        asyncio.create_task(_close_slow_readers(server, limits)),
        asyncio.create_task(_stop(server, on_stop, limits)),
    ]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _stop(server: uvicorn.Server, on_stop: Callable[[], None], limits: Limits) -> None:
    while not server.should_exit:
        await asyncio.sleep(0.1)
    on_stop()
    await asyncio.sleep(limits.shutdown_seconds)
    for connection in list(server.server_state.connections):  # closing would wait for who does not read
        if isinstance(connection, H11Protocol) and connection.transport is not None:
            connection.transport.abort()


async def _close_slow_readers(server: uvicorn.Server, limits: Limits) -> None:
    """End connections that have taken nothing of what waits for them for `write_seconds`."""
    seen: dict[Any, tuple[int, float]] = {}
    while True:
        await asyncio.sleep(min(1.0, limits.write_seconds / 4))
        now = asyncio.get_running_loop().time()
        waiting = {
            connection: size
            for connection in server.server_state.connections
            if isinstance(connection, H11Protocol)
            and connection.transport is not None
            and (size := connection.transport.get_write_buffer_size())
        }
        seen = {
            connection: seen[connection] if connection in seen and seen[connection][0] <= size else (size, now)
            for connection, size in waiting.items()
        }
        for connection, (_, since) in seen.items():
            if now - since >= limits.write_seconds:
                connection.transport.abort()


async def _close_slow_connections(server: uvicorn.Server, limits: Limits) -> None:
    """Close connections whose headers take too long, or that go on sending a body after its answer.

    uvicorn has no timeout for the rest of a request line; the middleware is called when the headers are complete.
    """
    since: dict[Any, float] = {}
    while True:
        await asyncio.sleep(min(1.0, limits.header_seconds / 4))
        now = asyncio.get_running_loop().time()
        waiting = {c for c in server.server_state.connections if isinstance(c, H11Protocol) and _is_waited_for(c)}
        since = {connection: since.get(connection, now) for connection in waiting}
        for connection, started in since.items():
            if now - started >= limits.header_seconds:
                connection.transport.close()


def _is_waited_for(connection: H11Protocol) -> bool:
    """Whether the client owes the rest of its headers, or the rest of a body that was answered already."""
    if connection.transport is None or connection.transport.is_closing():
        return False
    before_request = connection.conn.their_state is h11.IDLE
    begun = bool(connection.conn.trailing_data[0]) or connection.scope is None
    answered = connection.conn.our_state is h11.DONE and connection.conn.their_state is h11.SEND_BODY
    return (before_request and begun) or answered

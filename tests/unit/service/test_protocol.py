"""HTTP is parsed piece by piece: whatever arrives at once, heads, trailers and chunks stay within bounds."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.gallery.service.protocol import BoundedConnection

POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def events(*data: bytes) -> list[Any]:
    connection = BoundedConnection(h11.SERVER, 16 * 1024)
    found = []
    for part in data:
        connection.receive_data(part)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            found.append(event)
    return found


def body_of(found: list[Any]) -> bytes:
    return b"".join(bytes(event.data) for event in found if isinstance(event, h11.Data))


@given(st.binary(max_size=100_000), st.integers(1, 50_000))
def test_bodies_come_through(body: bytes, size: int) -> None:
    plain = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    parts = [body[i : i + 5000] for i in range(0, len(body), 5000)]
    chunked = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    for sent in (plain, chunked):
        found = events(*(sent[i : i + size] for i in range(0, len(sent), size)))
        assert (type(found[0]), type(found[-1]), body_of(found)) == (h11.Request, h11.EndOfMessage, body)


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"a:b\r\n" * 50_000 + b"\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + b"1;" + b"x" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"a:b\r\n" * 50_000 + b"\r\n",
    ],
)
def test_heads_are_bounded_though_they_arrive_whole(sent: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError) as caught:
        events(sent)
    assert caught.value.error_status_hint == 431


def test_a_request_sent_ahead_is_bounded_too() -> None:
    connection = BoundedConnection(h11.SERVER, 16 * 1024)
    connection.receive_data(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" + POST + b"a:b\r\n" * 50_000 + b"\r\n")
    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    assert connection.next_event() is h11.PAUSED
    connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.start_next_cycle()
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    assert connection.status == 431


def test_small_chunks_are_counted() -> None:
    assert len(body_of(events(CHUNKED + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"))) == 1000
    assert len(body_of(events(CHUNKED + b"400\r\n%b\r\n" % (b"x" * 1024) * 3000 + b"0\r\n\r\n"))) == 3000 * 1024
    with pytest.raises(h11.RemoteProtocolError, match="small chunks"):
        events(CHUNKED + b"1\r\nx\r\n" * 2000)

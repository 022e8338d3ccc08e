"""Bodies: bounded one by one and together, counted while they are in memory, and discarded where they are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from passerby.service import request_bodies
from passerby.service.errors import ServiceError
from passerby.service.limits import Limits
from passerby.service.request_bodies import BodiesInFlight, ClientDisconnected, RequestBody, close_if_unread

LIMITS = Limits(body_bytes=2000, bodies_bytes=3000, body_seconds=5)
CHUNKED = {b"transfer-encoding": b"chunked"}


class Client:
    """Sends these parts, then goes on with the last one for ever, ends, or disconnects."""

    def __init__(self, parts: Sequence[bytes], then: str = "end") -> None:
        self.parts = parts
        self.then = then
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.asked += 1
        if self.asked > len(self.parts) and self.then == "disconnect":
            return {"type": "http.disconnect"}
        last = self.asked >= len(self.parts) and self.then == "end"
        part = self.parts[min(self.asked, len(self.parts)) - 1]
        return {"type": "http.request", "body": part, "more_body": not last}


def incoming(client: Client, together: BodiesInFlight, headers: dict[bytes, bytes] = CHUNKED) -> RequestBody:
    return RequestBody(headers, client.receive, together, LIMITS)


def test_a_body_is_counted_until_it_is_released() -> None:
    together = BodiesInFlight(LIMITS)
    first, second = (incoming(Client([b"x" * 700] * 2), together) for _ in range(2))
    assert asyncio.run(first.read()) == b"x" * 1400
    assert asyncio.run(second.read()) == b"x" * 1400
    assert (together.held, first.unread) == (2800, False)
    third = incoming(Client([b"x" * 150] * 9), together)
    with pytest.raises(ServiceError) as caught:
        asyncio.run(third.read())
    assert (caught.value.status, "Retry-After" in caught.value.headers) == (503, True)
    assert (together.held, third.unread) == (2950, True)
    for one in (first, second, third, third):
        one.release()
    assert together.held == 0


def test_one_body_fits_in_any_case() -> None:
    limits = Limits(body_bytes=5000, bodies_bytes=1024)
    together = BodiesInFlight(limits)
    assert len(asyncio.run(RequestBody(CHUNKED, Client([b"x" * 5000]).receive, together, limits).read())) == 5000


@pytest.mark.parametrize(
    ("headers", "parts", "then", "asked", "status"),
    [
        ({b"content-length": b"2001"}, [b"x"], "go on", 0, 413),
        ({b"content-length": b"9" * 5000}, [b"x"], "go on", 0, 413),
        (CHUNKED, [b"x" * 999], "go on", 3, 413),
    ],
)
def test_a_body_that_is_too_large(
    headers: dict[bytes, bytes], parts: list[bytes], then: str, asked: int, status: int
) -> None:
    client, together = Client(parts, then), BodiesInFlight(LIMITS)
    one = incoming(client, together, headers)
    with pytest.raises(ServiceError) as caught:
        asyncio.run(one.read())
    assert (caught.value.status, client.asked, one.unread) == (status, asked, True)
    assert together.held <= 2000


def test_a_client_that_disconnects() -> None:
    with pytest.raises(ClientDisconnected):
        asyncio.run(incoming(Client([b"x"], "disconnect"), BodiesInFlight(LIMITS)).read())


@pytest.mark.parametrize(
    ("headers", "unread"),
    [({}, False), ({b"content-length": b"0"}, False), ({b"content-length": b"007"}, True), (CHUNKED, True)],
)
def test_whether_there_is_a_body(headers: dict[bytes, bytes], unread: bool) -> None:
    assert incoming(Client([b""]), BodiesInFlight(LIMITS), headers).unread is unread


def answered(one: RequestBody) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        reply = close_if_unread(send, one)
        await reply({"type": "http.response.start", "status": 413, "headers": [(b"a", b"b")]})
        await reply({"type": "http.response.body", "body": b"no"})

    asyncio.run(answer())
    return sent


@pytest.mark.parametrize("then", ["end", "disconnect", "go on"])
def test_an_early_answer_is_complete_before_the_connection_closes(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    monkeypatch.setattr(request_bodies, "LINGER_SECONDS", 0.05)
    client, together = Client([b"x" * 1500] * 3, then), BodiesInFlight(LIMITS)
    start, whole, end = answered(incoming(client, together))
    assert start["headers"] == [(b"a", b"b"), (b"connection", b"close")]
    assert (whole["body"], whole["more_body"]) == (b"no", True)
    assert (end.get("body"), end.get("more_body", False)) == (b"", False)
    assert client.asked >= 3
    assert together.held == 0


def test_an_answer_to_a_complete_request_keeps_the_connection() -> None:
    one = incoming(Client([b"x"]), BodiesInFlight(LIMITS))
    asyncio.run(one.read())
    start, body = answered(one)
    assert start["headers"] == [(b"a", b"b")]
    assert "more_body" not in body

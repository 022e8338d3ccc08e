"""Bodies: bounded one by one and together, counted while they are held, and thrown away where nobody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from passerby.gallery.service import bodies
from passerby.gallery.service.bodies import BodiesInFlight, ClientLeft, Incoming, closing
from passerby.gallery.service.limits import Limits
from passerby.gallery.service.refusal import Refusal

LIMITS = Limits(body_bytes=2000, bodies_bytes=3000, body_seconds=5)
CHUNKED = {b"transfer-encoding": b"chunked"}


class Client:
    """Sends these parts, then goes on with the last one for ever, ends, or leaves."""

    def __init__(self, parts: Sequence[bytes], then: str = "end") -> None:
        self.parts = parts
        self.then = then
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.asked += 1
        if self.asked > len(self.parts) and self.then == "leave":
            return {"type": "http.disconnect"}
        last = self.asked >= len(self.parts) and self.then == "end"
        part = self.parts[min(self.asked, len(self.parts)) - 1]
        return {"type": "http.request", "body": part, "more_body": not last}


def incoming(client: Client, together: BodiesInFlight, headers: dict[bytes, bytes] = CHUNKED) -> Incoming:
    return Incoming(headers, client.receive, together, LIMITS)


def test_a_body_is_counted_until_it_is_done_with() -> None:
    together = BodiesInFlight(LIMITS)
    first, second = (incoming(Client([b"x" * 700] * 2), together) for _ in range(2))
    assert asyncio.run(first.read()) == b"x" * 1400
    assert asyncio.run(second.read()) == b"x" * 1400
    assert (together.held, first.unread) == (2800, False)
    third = incoming(Client([b"x" * 150] * 9), together)
    with pytest.raises(Refusal) as caught:
        asyncio.run(third.read())
    assert (caught.value.status, "Retry-After" in caught.value.headers) == (503, True)
    assert (together.held, third.unread) == (2950, True)
    for one in (first, second, third, third):
        one.release()
    assert together.held == 0


def test_one_body_fits_in_any_case() -> None:
    limits = Limits(body_bytes=5000, bodies_bytes=1024)
    together = BodiesInFlight(limits)
    assert len(asyncio.run(Incoming(CHUNKED, Client([b"x" * 5000]).receive, together, limits).read())) == 5000


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
    with pytest.raises(Refusal) as caught:
        asyncio.run(one.read())
    assert (caught.value.status, client.asked, one.unread) == (status, asked, True)
    assert together.held <= 2000


def test_a_client_that_leaves() -> None:
    with pytest.raises(ClientLeft):
        asyncio.run(incoming(Client([b"x"], "leave"), BodiesInFlight(LIMITS)).read())


@pytest.mark.parametrize(
    ("headers", "unread"),
    [({}, False), ({b"content-length": b"0"}, False), ({b"content-length": b"007"}, True), (CHUNKED, True)],
)
def test_whether_there_is_a_body(headers: dict[bytes, bytes], unread: bool) -> None:
    assert incoming(Client([b""]), BodiesInFlight(LIMITS), headers).unread is unread


def answered(one: Incoming) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        reply = closing(send, one)
        await reply({"type": "http.response.start", "status": 413, "headers": [(b"a", b"b")]})
        await reply({"type": "http.response.body", "body": b"no"})

    asyncio.run(answer())
    return sent


@pytest.mark.parametrize("then", ["end", "leave", "go on"])
def test_an_early_answer_is_whole_before_the_connection_ends(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    monkeypatch.setattr(bodies, "LINGER_SECONDS", 0.05)
    client, together = Client([b"x" * 1500] * 3, then), BodiesInFlight(LIMITS)
    start, whole, end = answered(incoming(client, together))
    assert start["headers"] == [(b"a", b"b"), (b"connection", b"close")]
    assert (whole["body"], whole["more_body"]) == (b"no", True)
    assert (end.get("body"), end.get("more_body", False)) == (b"", False)
    assert client.asked >= 3
    assert together.held == 0


def test_an_answer_to_a_whole_request_keeps_the_connection() -> None:
    one = incoming(Client([b"x"]), BodiesInFlight(LIMITS))
    asyncio.run(one.read())
    start, body = answered(one)
    assert start["headers"] == [(b"a", b"b")]
    assert "more_body" not in body

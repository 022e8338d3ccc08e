"""What one request, one connection or one reader can cost, and what of reading is audited."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from tests.end_to_end.service.harness import Running, bearer, encoded, files, person

from passerby.service.errors import ServiceError
from passerby.service.limits import Limits
from passerby.service.middleware import SECURITY_HEADERS
from passerby.service.pixels_in_flight import PixelsInFlight
from passerby.service.uploads import pixels_to_decode

Start = Callable[..., Running]
FLAT = encoded(np.zeros((400, 400, 3), np.uint8))


def progressive(scans: int) -> bytes:
    """A JPEG of some 100 pixels a side that says it has so many scans."""
    out = io.BytesIO()
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(out, "JPEG", progressive=True)
    return out.getvalue()[:-2] + b"\xff\xda" * scans + b"\xff\xd9"


def test_pixels_of_a_request_are_bounded_together(start: Start) -> None:
    limits = Limits(rate=0, pixels=160_000, request_pixels=500_000)
    client = start(limits=limits).client()
    for path, data in (("identify", {}), ("enroll", {"identity": "ada"}), ("observe", {"threshold": "0.5"})):
        answer = client.post(f"/v1/{path}", data=data, files=files(*[FLAT] * 4))
        assert (answer.status_code, "together" in answer.json()["detail"]) == (413, True), answer.text
        assert client.post(f"/v1/{path}", data=data, files=files(*[FLAT] * 3)).status_code in (200, 201)


def test_pixels_of_all_requests_are_bounded_together() -> None:
    held = PixelsInFlight(Limits(pixels=160_000, pixels_in_flight=400_000))
    with held.hold([FLAT]), held.hold([FLAT]):
        with pytest.raises(ServiceError, match="too many pixels") as caught, held.hold([FLAT]):
            pass
        assert caught.value.status == 503
    with held.hold([FLAT] * 3):  # one request alone fits in any case
        assert held.held == 480_000
    assert held.held == 0


def test_scans_of_a_jpeg_count_as_passes() -> None:
    usual = pixels_to_decode(progressive(0), 0, max_pixels=20_000)
    assert usual <= 2 * 10_000
    assert pixels_to_decode(progressive(45), 0, max_pixels=20_000) >= 5 * 10_000
    with pytest.raises(ServiceError, match="scans"):
        pixels_to_decode(progressive(70), 0, max_pixels=20_000)


def test_decoding_ends_when_nobody_waits(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def slow(data: bytes, position: int, *, max_pixels: int, bits: int) -> np.ndarray:
        decoded.append(position)
        time.sleep(0.2)
        return np.zeros((8, 4, 3), np.uint8)

    monkeypatch.setattr("passerby.service.identification.open_image", slow)
    service = start(limits=Limits(rate=0, encode_seconds=0.5))
    assert service.client().post("/v1/identify", files=files(*[person(1)] * 40)).status_code == 503
    service.stop()
    assert len(decoded) < 40
    assert service.app.state.context.pixels.held == 0


def test_the_bound_on_connections_answers_like_everything_else(start: Start) -> None:
    service = start(limits=Limits(rate=0, connections=2))
    address = urlsplit(service.url)
    others = [socket.create_connection((address.hostname, address.port)) for _ in range(3)]
    try:
        answer = service.client().get("/health")
        assert answer.status_code == 503
        assert "too many connections" in answer.json()["detail"]
        assert answer.headers["retry-after"]
        assert answer.headers["x-request-id"] == answer.json()["request"]
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value
    finally:
        for other in others:
            other.close()


def test_a_trailing_slash_redirects_nowhere(start: Start) -> None:
    answer = start().client().get("/v1/identities/", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("stopped", [False, True])
def test_who_does_not_read_is_disconnected(start: Start, stopped: bool) -> None:
    limits = Limits(rate=0, write_seconds=1000 if stopped else 0.5, shutdown_seconds=1)
    service = start(limits=limits)
    address = urlsplit(service.url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((address.hostname, address.port))
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        slow.setblocking(False)
        try:
            while True:
                slow.send(request * 50)
        except BlockingIOError:
            pass
        if stopped:
            service.stop()  # returns, although somebody does not read
            return
        while service.server.server_state.connections:  # until the limit of the whole test
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("audit_reads", "expected"),
    [
        ("nothing", []),
        ("pictures", ["read_pictures"]),
        ("everything", ["read_history", "read_names", "read_names", "read_pictures"]),
    ],
)
def test_reading_is_audited_as_far_as_it_is_asked_for(start: Start, audit_reads: str, expected: list[str]) -> None:
    service = start(audit_reads=audit_reads)
    client = service.client()
    made = client.post("/v1/enroll", data={"identity": "ada"}, files=files(person(1))).json()
    for _ in range(2):  # noted once a minute
        assert client.get(f"/v1/thumbnails/{made['observations'][0]}").status_code == 200
    client.get("/v1/identities")
    client.get("/v1/identity", params={"name": "ada"})
    events = client.get("/v1/history").json()["events"]
    found = [event["action"] for event in events if event["action"].startswith("read_")]
    assert sorted(found) == expected
    assert client.post("/v1/undo", json={}).json()["action"] == "enroll"  # notes are not in the way


def test_a_decision_is_about_an_identification(start: Start) -> None:
    service = start()
    client = service.client()
    client.post("/v1/enroll", data={"identity": "ada"}, files=files(person(1)))
    answer = client.post("/v1/identify", files=files(person(1))).json()
    decided = {"identity": "ada", "decision": "confirm", "request": "0" * 16, "distance": 0.1}
    refused = client.post("/v1/decide", json=decided)
    assert (refused.status_code, "no identification" in refused.json()["detail"]) == (422, True)
    assert client.post("/v1/decide", json={**decided, "request": answer["request"]}).status_code == 204
    observed = [
        client.post("/v1/observe", data={"threshold": t}, files=files(person(p))).json()
        for p, t in ((1, 0.5), (2, 0.0001))
    ]
    assert [seen["new"] for seen in observed] == [False, True]
    service.stop()
    again = start(path=service.path).client()  # what was made before a restart stands in the audit
    for made in (answer, *(seen["answer"] for seen in observed)):
        assert again.post("/v1/decide", json={**decided, "request": made["request"]}).status_code == 204


def test_pending_erasure_is_visible_in_readiness(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start()
    client = service.client()
    client.post("/v1/enroll", data={"identity": "ada"}, files=files(person(1)))
    with monkeypatch.context() as patch:
        patch.setattr("passerby.gallery.stores.sqlite.store.SqliteStore._empty_log", lambda *_, **__: False)
        client.post("/v1/forget", json={"identity": "ada", "confirm": "ada"})
        answer = client.get("/ready", headers=bearer("x"))
        assert answer.status_code == 200
        assert "erased bytes" in answer.json()["pending"]
    client.post("/v1/purge", json={})
    assert client.get("/ready").json() == {"status": "ready", "pending": None}

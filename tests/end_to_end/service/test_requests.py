"""Requests that cost the sender little and the service much: each is refused at a bound, and no other request waits."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.end_to_end.service.harness import Running, files

from passerby.service import multipart
from passerby.service.limits import Limits
from passerby.service.logs import JsonFormatter
from passerby.service.middleware import SECURITY_HEADERS

Start = Callable[..., Running]
AS_JSON = {"Content-Type": "application/json"}


def test_json_of_too_many_values_is_never_built(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start().client("reader-token")
    real, built = json.loads, []

    def noted(text: Any, **options: Any) -> Any:
        built.append(len(text))
        return real(text, **options)

    monkeypatch.setattr(json, "loads", noted)
    bodies = {
        '{"vectors": [[' + ",".join(['""'] * 30_000) + "]]}": 413,
        '{"vectors": [' + ",".join(["[]"] * 30_000) + "]}": 413,
        "{" + ",".join(f'"k{i}": 1' for i in range(10_000)) + "}": 422,
        '{"vectors": [[1]]' + ', "top": 1' * 10_000 + "}": 422,
        '{"vectors": [[1]], "camera": "' + "x" * 2**20 + '"}': 413,
        "[" * 100_000: 400,
        '{"vectors": [[1]], "top": ' + "1" * 5000 + "}": 422,
    }
    for body, status in bodies.items():
        answer = client.post("/v1/identify/vectors", content=body, headers=AS_JSON)
        assert (answer.status_code, built) == (status, []), (body[:60], answer.text[:300])
        assert len(answer.text) < 400


def test_errors_of_json_are_short(start: Start) -> None:
    client = start().client("reader-token")
    bodies = {
        '{"vectors": [[' + ",".join(['""'] * 32) + "]]}": "body.vectors.0.0: ",
        '{"vectors": [[1]], "top": 1, "top": 2}': "body.top: given twice",
        '{"vectors": [[1]], "' + "n" * 9000 + '": 1}': "Extra inputs",
        '{"vectors": [[NaN]]}': "NaN is no number",
        '{"vectors": [[1e999]]}': "finite",
    }
    for body, said in bodies.items():
        answer = client.post("/v1/identify/vectors", content=body, headers=AS_JSON)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text[:300]
        assert len(answer.text) < 400
    assert client.post("/v1/identify/vectors", content="{}").status_code == 422  # does not say that it is JSON


def test_the_role_is_checked_before_the_body(start: Start) -> None:
    answer = start().client("reader-token").post("/v1/merge", content="[" * 1000, headers=AS_JSON)
    assert answer.status_code == 403


LONG_JSON = b'{"vectors": [[1]]}' + b" " * 20_000  # what is shorter is parsed at once


@pytest.mark.parametrize(
    ("module", "parser", "path", "sent"),
    [
        (json, "loads", "/v1/identify/vectors", {"content": LONG_JSON, "headers": AS_JSON}),
        (multipart, "_parts", "/v1/identify", {"files": files(bytes(20_000)), "data": {"top": "0"}}),
    ],
)
def test_others_are_answered_while_a_body_is_parsed(
    start: Start, monkeypatch: pytest.MonkeyPatch, module: Any, parser: str, path: str, sent: dict[str, Any]
) -> None:
    client = start().client("reader-token")
    real, entered, resume = getattr(module, parser), threading.Event(), threading.Event()

    def held(*arguments: Any, **options: Any) -> Any:
        entered.set()
        resume.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(module, parser, held)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post(path, **sent)))
    thread.start()
    try:
        assert entered.wait(20)
        assert client.get("/health", timeout=10).status_code == 200
    finally:
        resume.set()
        thread.join()
    assert [answer.status_code for answer in answers] == [422]


def test_forms_with_very_long_part_headers(start: Start) -> None:
    client = start().client("reader-token")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for head in (b";a=1" * 10_000, b';a="' * 10_000, b"x" * 10_000):
        body = b'--b\r\nContent-Disposition: form-data; name="images"' + head + b"\r\n\r\nx\r\n--b--\r\n"
        answer = client.post("/v1/identify", content=body, headers=kind)
        assert (answer.status_code, "head of more than" in answer.text) == (400, True), answer.text


# -- bodies --------------------------------------------------------------------------------------------------------

NO_END = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def begin(service: Running, head: bytes) -> socket.socket:
    """A connection on which this much of a request was sent."""
    connection = socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
    connection.settimeout(20)
    connection.sendall(head)
    return connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and JSON; the service must end the connection, whatever is still sent."""
    with connection:
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), json.loads(body)


@pytest.mark.parametrize(
    ("line", "key", "status"),
    [
        (b"POST /health", b"", 405),
        (b"GET /health", b"", 200),
        (b"POST /v1/enroll", b"", 401),
        (b"POST /v1/enroll", b"Authorization: Bearer nobody\r\n", 401),
        (b"POST /v1/nothing", b"Authorization: Bearer admin-token\r\n", 404),
        (b"GET /v1/gallery", b"Authorization: Bearer admin-token\r\n", 200),
        (b"PUT /v1/enroll", b"Authorization: Bearer admin-token\r\n", 405),
        (b"POST /v1/purge", b"Authorization: Bearer admin-token\r\n", 200),
    ],
)
def test_bodies_that_no_endpoint_takes_are_not_read(
    start: Start, monkeypatch: pytest.MonkeyPatch, line: bytes, key: bytes, status: int
) -> None:
    monkeypatch.setattr("passerby.service.request_bodies.LINGER_SECONDS", 0.1)
    service = start(limits=Limits(rate=0, body_seconds=1))
    taken: list[int] = []
    service.app.state.context.bodies.take = taken.append
    found, headers, answer = answer_of(begin(service, line + b" HTTP/1.1\r\nHost: x\r\n" + key + NO_END))
    assert (found, headers["connection"], taken) == (status, "close", []), answer


def test_bodies_in_flight_are_bounded_together(start: Start) -> None:
    service = start(limits=Limits(rate=0, body_bytes=100_000, bodies_bytes=100_000))
    held = service.app.state.context.bodies
    client = service.client("reader-token")
    head = (
        b"POST /v1/identify/vectors HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader-token\r\nConnection: close\r\n"
    )
    length = b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    with begin(service, head + length + b" " * 59_000) as first:
        while held.held < 59_000:
            time.sleep(0.005)
        refused = client.post("/v1/identify/vectors", content=b" " * 60_000, headers=AS_JSON)
        alive = client.get("/health").status_code
        counted = client.get("/metrics").text
        first.sendall(b" " * 1000)
        assert answer_of(first)[0] == 422
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
    assert int(refused.headers["retry-after"]) >= 1
    assert set(refused.json()) == {"detail", "request"}
    assert (alive, "passerby_body_bytes_in_flight 59000" in counted) == (200, True)
    while held.held:
        time.sleep(0.005)
    assert client.post("/v1/identify/vectors", content=b" " * 60_000, headers=AS_JSON).status_code == 422


def test_too_large_is_answered_in_json_to_a_client_that_goes_on_sending(start: Start) -> None:
    service = start(limits=Limits(rate=0, body_bytes=100_000))
    head = b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader-token\r\n"
    connection = begin(service, head + b"Transfer-Encoding: chunked\r\n\r\n493e0\r\n")
    connection.sendall(b"x" * 250_000)
    status, headers, answer = answer_of(connection)
    assert (status, headers["connection"], "100,000" in answer["detail"]) == (413, "close", True)
    assert service.app.state.context.bodies.held == 0


def test_the_endpoints_that_take_a_body_are_those_that_describe_one(start: Start) -> None:
    service = start()
    description = service.client(None).get("/openapi.json").json()["paths"]
    posted = {path for path, methods in description.items() if "post" in methods}
    described = {path for path in posted if "requestBody" in description[path]["post"]}
    assert posted - described == {"/v1/purge"}
    for path in described:
        answer = service.client().post(path, content=b"{", headers=AS_JSON)
        assert answer.status_code in {400, 422}, (path, answer.text)
        assert "connection" not in answer.headers  # it was read to its end


# -- heads ---------------------------------------------------------------------------------------------------------

GET = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"GET /health?" + b"a&" * 5000 + GET + b"\r\n", 414, "8,192"),
        (b"GET /v1/thumbnails/" + b"1" * 9000 + GET + b"\r\n", 414, "8,192"),
        (b"GET /health?" + b"a&" * 100 + GET + b"\r\n", 422, "more than 32 parameters"),
        (b"GET /health?limit=1&%6Cimit=2" + GET + b"\r\n", 422, "query.limit: given twice"),
        (b"GET /health" + GET + b"a:b\r\n" * 101 + b"\r\n", 431, "more than 100 headers"),
        (b"GET /health" + GET + b"a: " + b"b" * 30_000 + b"\r\n\r\n", 431, "16,384"),
        (b"GET /health" + GET + b"a:b\r\n" * 50_000 + b"\r\n", 431, "16,384"),
        (b"POST /v1/enroll" + GET + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, "Invalid"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "Invalid"),
    ],
)
def test_addresses_and_headers_are_bounded(start: Start, sent: bytes, status: int, said: str) -> None:
    service = start()
    found, headers, answer = answer_of(begin(service, sent))
    assert (found, headers["connection"], said in answer["detail"]) == (status, "close", True), answer
    assert len(answer["detail"]) < 200
    assert headers["x-request-id"] == answer["request"]
    for name, value in SECURITY_HEADERS.items():
        assert headers[name.lower()] == value.lower()
    assert service.client().get("/health").status_code == 200


def test_chunks_that_are_too_small_close_the_connection(start: Start) -> None:
    service = start()
    head = b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n" + NO_END
    status, headers, _ = answer_of(begin(service, head + b"1\r\nx\r\n" * 3000))
    assert (status, headers["connection"]) == (400, "close")
    held = service.app.state.context.bodies
    while held.held:
        time.sleep(0.005)
    assert service.client().get("/health").status_code == 200


def test_at_overload_a_request_is_refused_before_its_body_is_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.service.request_bodies.LINGER_SECONDS", 0.1)
    service = start(limits=Limits(rate=0, requests=3))
    context = service.app.state.context
    parsed: list[object] = []
    monkeypatch.setattr(context, "parse", lambda task, size: parsed.append(task))
    context.running = 3
    head = b"POST /v1/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader-token\r\n"
    form = b"Content-Type: multipart/form-data; boundary=b\r\n"
    with begin(service, head + form + b"Content-Length: 9000000\r\n\r\n") as connection:  # and it never comes
        status, headers, _ = answer_of(connection)
    assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "1")
    small = service.client("reader-token").post("/v1/identify", content=b"x" * 5000, headers={"Content-Type": "x/y"})
    assert (small.status_code, "connection" in small.headers, parsed) == (503, False, [])
    assert service.client("reader-token").get("/v1/gallery").status_code == 200
    assert service.client("writer-token").post("/v1/forget", json={"identity": "x"}).status_code == 403
    context.running = 0


def test_parameters_that_no_endpoint_reads_are_refused(start: Start) -> None:
    client = start().client("reader-token")
    answer = client.get("/v1/identities", params={"camara": "door"})
    assert (answer.status_code, "query.camara: no such parameter" in answer.text) == (422, True)
    assert "camera" in answer.json()["detail"]
    assert client.get("/v1/identities", params={"camera": "door", "limit": 3}).status_code == 200
    assert client.get("/v1/gallery?x=1").status_code == 422
    assert client.get("/health?x=1").status_code == 200


def test_what_is_not_http_is_in_the_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    service = start()
    with caplog.at_level(logging.INFO, "passerby.service"):
        _, _, answer = answer_of(begin(service, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"))
    found = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [(one["message"], one["status"]) for one in found if one.get("request") == answer["request"]] == [
        ("refused", 400)
    ]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/sightings/keep", "GET, POST"),
        ("GET", "/v1/identify", "POST"),
        ("PUT", "/v1/thumbnails/1", "GET"),
        ("POST", "/", "GET"),
    ],
)
def test_a_wrong_method_is_told_all_that_a_path_has(start: Start, method: str, path: str, allowed: str) -> None:
    answer = start().client().request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["detail"] == f"expected {allowed.replace(', ', ' or ')} for this path"


def test_a_path_that_there_is_not_is_told_where_the_others_are(start: Start) -> None:
    answer = start().client().get("/v1/people")
    assert (answer.status_code, "/openapi.json" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("path", ["/v1/undo", "/v1/identify"])
def test_a_compressed_body_is_not_taken_for_a_plain_one(start: Start, path: str) -> None:
    client = start().client()
    answer = client.post(path, content=b"{}", headers={**AS_JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, "Content-Encoding" in answer.json()["detail"]) == (415, True)
    plain = client.post("/v1/undo", content=b"{}", headers={**AS_JSON, "Content-Encoding": "identity"})
    assert "nothing to undo" in plain.json()["detail"]


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "Idempotency-Key", "Content-Type"])
def test_a_header_that_comes_twice_is_refused(start: Start, name: str) -> None:
    sent = [
        ("Authorization", "Bearer admin-token"),
        (name, "Bearer reader-token"),
        (name.lower(), "Bearer admin-token"),
    ]
    answer = start().client(None).get("/v1/gallery", headers=sent)
    assert (answer.status_code, answer.json()["detail"]) == (400, f"header {name.lower()}: given twice")

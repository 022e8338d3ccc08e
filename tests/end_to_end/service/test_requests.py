"""Requests that cost the sender little and the service much: each is refused at a bound, and nobody else waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.end_to_end.service.harness import Running, files, person

from passerby.gallery.service import forms

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


def test_what_is_wrong_with_json_is_said_once(start: Start) -> None:
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


@pytest.mark.parametrize(
    ("module", "parser", "path", "sent"),
    [
        (json, "loads", "/v1/identify/vectors", {"json": {"vectors": [[1]]}}),
        (forms, "_parts", "/v1/identify", {"files": files(person(1)), "data": {"top": "0"}}),
    ],
)
def test_others_are_answered_while_a_body_is_parsed(
    start: Start, monkeypatch: pytest.MonkeyPatch, module: Any, parser: str, path: str, sent: dict[str, Any]
) -> None:
    client = start().client("reader-token")
    real, entered, gate = getattr(module, parser), threading.Event(), threading.Event()

    def held(*arguments: Any, **options: Any) -> Any:
        entered.set()
        gate.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(module, parser, held)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post(path, **sent)))
    thread.start()
    try:
        assert entered.wait(20)
        assert client.get("/health", timeout=10).status_code == 200
    finally:
        gate.set()
        thread.join()
    assert [answer.status_code for answer in answers] == [422]


def test_forms_with_heads_that_go_on_and_on(start: Start) -> None:
    client = start().client("reader-token")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for head in (b";a=1" * 10_000, b';a="' * 10_000, b"x" * 10_000):
        body = b'--b\r\nContent-Disposition: form-data; name="images"' + head + b"\r\n\r\nx\r\n--b--\r\n"
        answer = client.post("/v1/identify", content=body, headers=kind)
        assert (answer.status_code, "head of more than" in answer.text) == (400, True), answer.text

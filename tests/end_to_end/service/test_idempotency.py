"""Idempotency keys over HTTP: done once, answered again to the same API key only, never with names that were erased."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.end_to_end.service.harness import PausedEncoder, Running, files, person

from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.service import idempotency
from passerby.service.api_keys import add_key, remove_key

Start = Callable[..., Running]
GONE = 410


def enroll(client: httpx.Client, name: str, key: str | None = None, *, axis: int = 0) -> httpx.Response:
    """Enrol one vector."""
    vector = np.eye(client.get("/v1/gallery").json()["dim"])[axis].tolist()
    return post(client, "/v1/enroll/vectors", key, identity=name, vectors=[vector])


def post(client: httpx.Client, path: str, key: str | None = None, **content: object) -> httpx.Response:
    return client.post(path, json=content, headers={} if key is None else {"Idempotency-Key": key})


def observations(client: httpx.Client) -> int:
    return int(client.get("/v1/gallery").json()["observations"])


def names(client: httpx.Client) -> set[str]:
    return {person["name"] for person in client.get("/v1/identities").json()["identities"]}


def log(client: httpx.Client) -> list[dict[str, object]]:
    events: list[dict[str, object]] = client.get("/v1/history").json()["events"]
    return events


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v1/forget", {"identity": "Ada", "confirm": "Ada"}),
        ("/v1/purge", {}),
        ("/v1/undo", {}),
        ("/v1/merge", {"into": "grace", "other": "Ada"}),
        ("/v1/update", {"identity": "Ada", "name": "eve"}),
    ],
)
@pytest.mark.parametrize("key", [None, "the second"])
def test_an_answer_is_discarded_when_its_identity_changes(
    start: Start, path: str, content: dict[str, str], key: str | None
) -> None:
    service = start()
    client, writer = service.client(), service.client("writer-token")
    enroll(client, "grace", axis=1)
    first = enroll(writer, "Ada", "the first")
    assert (first.status_code, enroll(writer, "Ada", "the first").text) == (201, first.text)
    if path == "/v1/purge":
        post(client, "/v1/update", identity="Ada", expires="2000-01-01")
        enroll(writer, "Ada", "another")
    assert post(client, path, key, **content).status_code == 200
    before = observations(client)
    for sent in ("the first", "another") if path == "/v1/purge" else ("the first",):
        again = enroll(writer, "Ada", sent)
        assert (again.status_code, "Ada" in again.text) == (GONE, False)
    assert observations(client) == before
    assert "Ada" not in names(client)


def test_an_answer_is_discarded_when_its_observations_are_split_off(start: Start) -> None:
    client = start().client()
    (moved,) = enroll(client, "Ada", "a key").json()["observations"]
    enroll(client, "Ada", axis=1)
    assert post(client, "/v1/split", identity="Ada", observations=[moved], name="grace").status_code == 200
    assert enroll(client, "Ada", "a key").status_code == GONE


def test_an_answer_is_discarded_when_another_process_forgets(start: Start, encoder: Encoder) -> None:
    service = start()
    client = service.client()
    enroll(client, "Ada", "a key")
    with Gallery.open(service.path, encoder) as other:
        other.forget("Ada")
    again = enroll(client, "Ada", "a key")
    assert (again.status_code, "Ada" in again.text, names(client)) == (GONE, False, set())


def test_an_answer_is_discarded_though_the_clock_was_put_back(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    client = service.client()
    enroll(client, "Ada", "a key")
    assert enroll(client, "Ada", "a key").status_code == 201
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    with Gallery.open(service.path, encoder) as other:
        other.forget("Ada")
    again = enroll(client, "Ada", "a key")
    assert (again.status_code, "Ada" in again.text) == (GONE, False)


def test_an_answer_that_comes_after_a_change_is_not_kept(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    client = service.client()
    enroll(client, "grace")
    request = client.build_request("POST", "/v1/enroll", data={"identity": "Ada"}, files=files(person(1)))
    kind = {"Content-Type": request.headers["Content-Type"], "Idempotency-Key": "a key"}
    content = request.read()
    paused = PausedEncoder(monkeypatch, encoder)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/enroll", content=content, headers=kind)))
    thread.start()
    assert paused.entered.wait(200)
    assert post(client, "/v1/forget", identity="grace", confirm="grace").status_code == 200
    paused.resume.set()
    thread.join()
    assert answers[0].status_code == 201
    assert client.post("/v1/enroll", content=content, headers=kind).status_code == GONE
    assert observations(client) == 1


def test_the_answer_of_a_change_of_identities_is_kept(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    enroll(client, "grace", axis=1)
    merged = post(client, "/v1/merge", "merge", into="Ada", other="grace")
    assert post(client, "/v1/merge", "merge", into="Ada", other="grace").text == merged.text
    gone = post(client, "/v1/forget", "forget", identity="Ada", confirm="Ada")
    assert gone.status_code == 200
    assert post(client, "/v1/forget", "forget", identity="Ada", confirm="Ada").text == gone.text
    assert post(client, "/v1/merge", "merge", into="Ada", other="grace").status_code == GONE


def test_the_answer_that_names_the_purged_is_not_kept(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    post(client, "/v1/update", identity="Ada", expires="2000-01-01")
    assert post(client, "/v1/purge", "a key").json()["identities"] == ["Ada"]
    again = post(client, "/v1/purge", "a key")
    assert (again.status_code, "Ada" in again.text) == (GONE, False)


def test_answers_belong_to_the_key_and_not_to_its_name(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    old = add_key(keys, "desk", role="write")
    service = start(keys=keys)
    first = enroll(service.client(old), "Ada", "a key")
    remove_key(keys, "desk")
    assert post(service.client(old), "/v1/enroll/vectors", "a key", identity="Ada").status_code == 401
    new = add_key(keys, "desk", role="write")
    again = enroll(service.client(new), "Ada", "a key")
    assert again.status_code == 201
    assert again.json()["observations"] != first.json()["observations"]


def test_a_key_whose_role_was_reduced_gets_no_answer(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    token = add_key(keys, "desk", role="write")
    client = start(keys=keys).client(token)
    assert enroll(client, "Ada", "a key").status_code == 201
    text = keys.read_text()
    keys.write_text(text.replace('"write"', '"read"'))
    again = enroll(client, "Ada", "a key")
    assert (again.status_code, "Ada" in again.text) == (403, False)


def test_answers_are_limited_for_each_key_on_its_own(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MOST", 3)
    service = start()
    writer, admin, reader = (service.client(f"{role}-token") for role in ("writer", "admin", "reader"))
    first = enroll(writer, "Ada", "a key")
    for i in range(5):
        assert enroll(reader, "eve", f"key {i}").status_code == 403
        assert enroll(admin, "grace", f"key {i}", axis=1).status_code == 201
    again = enroll(writer, "Ada", "a key")
    assert (again.status_code, again.text, observations(writer)) == (201, first.text, 1 + 5)
    assert enroll(admin, "grace", "key 4", axis=1).status_code == 201
    assert observations(writer) == 1 + 5
    enroll(admin, "grace", "key 0", axis=1)  # of its own answers, the newest three are kept
    assert observations(writer) == 1 + 6


@pytest.mark.parametrize(("name", "value"), [("MOST", 2), ("SECONDS", 0.0)])
def test_a_running_request_is_not_started_again(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    paused = PausedEncoder(monkeypatch, encoder)
    monkeypatch.setattr(idempotency, name, value)
    client = start().client()
    request = client.build_request("POST", "/v1/enroll", data={"identity": "Ada"}, files=files(person(1)))
    kind = {"Content-Type": request.headers["Content-Type"], "Idempotency-Key": "a key"}
    content = request.read()
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/enroll", content=content, headers=kind)))
    thread.start()
    assert paused.entered.wait(200)
    for i in range(4):
        assert enroll(client, "grace", f"key {i}").status_code == 201
    try:
        assert client.post("/v1/enroll", content=content, headers=kind).status_code == 409
    finally:
        paused.resume.set()
        thread.join()
    assert answers[0].status_code == 201
    assert observations(client) == 4 + 1


def test_a_repeated_answer_is_audited(start: Start) -> None:
    client = start().client("admin-token")
    first = enroll(client, "Ada", "a key")
    again = enroll(client, "Ada", "a key")
    assert again.text == first.text
    newest = log(client)[0]
    assert (newest["action"], newest["actor"], newest["identity"]) == ("repeat", "key-3", None)
    assert newest["detail"] == {
        "request": again.headers["x-request-id"],
        "first": first.headers["x-request-id"],
        "path": "/v1/enroll/vectors",
    }
    assert post(client, "/v1/undo").json()["action"] == "enroll"  # a repetition is no change


def test_an_answer_that_cannot_be_audited_is_not_repeated(start: Start) -> None:
    service = start()
    client = service.client()
    assert enroll(client, "Ada", "a key").status_code == 201
    assert enroll(client, "Ada", "a key").status_code == 201
    store = service.app.state.context.gallery._gallery._store
    for database in (store._db, store._log_db):
        database.execute("PRAGMA query_only = ON")
    again = enroll(client, "Ada", "a key")
    assert (again.status_code, "Ada" in again.text) == (503, False)


def test_an_identification_is_done_and_audited_again(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    probe = {"vectors": [np.eye(client.get("/v1/gallery").json()["dim"])[0].tolist()]}
    assert post(client, "/v1/identify/vectors", "a key", **probe).json()["identity"] == "Ada"
    assert post(client, "/v1/forget", identity="Ada", confirm="Ada").status_code == 200
    again = post(client, "/v1/identify/vectors", "a key", **probe)
    assert (again.status_code, again.json()["identity"], "Ada" in again.text) == (200, None, False)
    assert [(e["action"], e["detail"].get("request")) for e in log(client)[:1]] == [  # type: ignore[attr-defined]
        ("identify", again.headers["x-request-id"])
    ]


def test_a_failed_request_can_be_tried_again(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    assert post(client, "/v1/merge", "a key", into="Ada", other="grace").status_code == 404
    enroll(client, "grace", axis=1)
    assert post(client, "/v1/merge", "a key", into="Ada", other="grace").status_code == 200

"""Marked requests over HTTP: done once, answered again to whom they belong, and never with names that are gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.end_to_end.service.harness import Running, files, person

from passerby.gallery.gallery import Gallery
from passerby.gallery.service import replays
from passerby.gallery.service.keys import add_key, remove_key
from passerby.models.encoder import Encoder

Start = Callable[..., Running]
ANSWER_GONE = 410


def enroll(client: httpx.Client, name: str, mark: str | None = None, *, axis: int = 0) -> httpx.Response:
    """Enrol one vector."""
    vector = np.eye(client.get("/v1/gallery").json()["dim"])[axis].tolist()
    return post(client, "/v1/enroll/vectors", mark, identity=name, vectors=[vector])


def post(client: httpx.Client, path: str, mark: str | None = None, **content: object) -> httpx.Response:
    return client.post(path, json=content, headers={} if mark is None else {"Idempotency-Key": mark})


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
@pytest.mark.parametrize("mark", [None, "the second"])
def test_an_answer_goes_with_the_name_in_it(start: Start, path: str, content: dict[str, str], mark: str | None) -> None:
    service = start()
    client, writer = service.client(), service.client("writer-token")
    enroll(client, "grace", axis=1)
    first = enroll(writer, "Ada", "the first")
    assert (first.status_code, enroll(writer, "Ada", "the first").text) == (201, first.text)
    if path == "/v1/purge":
        post(client, "/v1/update", identity="Ada", expires="2000-01-01")
        enroll(writer, "Ada", "another")
    assert post(client, path, mark, **content).status_code == 200
    before = observations(client)
    for sent in ("the first", "another") if path == "/v1/purge" else ("the first",):
        again = enroll(writer, "Ada", sent)
        assert (again.status_code, "Ada" in again.text) == (ANSWER_GONE, False)
    assert observations(client) == before
    assert "Ada" not in names(client)


def test_an_answer_goes_when_its_observations_are_split_off(start: Start) -> None:
    client = start().client()
    (moved,) = enroll(client, "Ada", "mark").json()["observations"]
    enroll(client, "Ada", axis=1)
    assert post(client, "/v1/split", identity="Ada", observations=[moved], name="grace").status_code == 200
    assert enroll(client, "Ada", "mark").status_code == ANSWER_GONE


def test_an_answer_goes_when_another_process_forgets(start: Start, encoder: Encoder) -> None:
    service = start()
    client = service.client()
    enroll(client, "Ada", "mark")
    with Gallery.open(service.path, encoder) as other:
        other.forget("Ada")
    again = enroll(client, "Ada", "mark")
    assert (again.status_code, "Ada" in again.text, names(client)) == (ANSWER_GONE, False, set())


def test_an_answer_that_comes_after_the_forgetting_is_not_kept(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate, real = threading.Event(), threading.Event(), encoder.encode_batch

    def held(*args: object, **options: object) -> object:
        entered.set()
        assert gate.wait(200)
        return real(*args, **options)  # type: ignore[arg-type]

    service = start()
    client = service.client()
    enroll(client, "grace")
    request = client.build_request("POST", "/v1/enroll", data={"identity": "Ada"}, files=files(person(1)))
    kind = {"Content-Type": request.headers["Content-Type"], "Idempotency-Key": "mark"}
    content = request.read()
    monkeypatch.setattr(encoder, "encode_batch", held)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/enroll", content=content, headers=kind)))
    thread.start()
    assert entered.wait(200)
    assert post(client, "/v1/forget", identity="grace", confirm="grace").status_code == 200
    gate.set()
    thread.join()
    assert answers[0].status_code == 201
    assert client.post("/v1/enroll", content=content, headers=kind).status_code == ANSWER_GONE
    assert observations(client) == 1


def test_what_alters_people_has_an_answer_of_its_own(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    enroll(client, "grace", axis=1)
    merged = post(client, "/v1/merge", "merge", into="Ada", other="grace")
    assert post(client, "/v1/merge", "merge", into="Ada", other="grace").text == merged.text
    gone = post(client, "/v1/forget", "forget", identity="Ada", confirm="Ada")
    assert gone.status_code == 200
    assert post(client, "/v1/forget", "forget", identity="Ada", confirm="Ada").text == gone.text
    assert post(client, "/v1/merge", "merge", into="Ada", other="grace").status_code == ANSWER_GONE


def test_the_answer_that_names_the_purged_is_not_kept(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    post(client, "/v1/update", identity="Ada", expires="2000-01-01")
    assert post(client, "/v1/purge", "mark").json()["identities"] == ["Ada"]
    again = post(client, "/v1/purge", "mark")
    assert (again.status_code, "Ada" in again.text) == (ANSWER_GONE, False)


def test_answers_belong_to_the_key_and_not_to_its_name(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    old = add_key(keys, "desk", role="write")
    service = start(keys=keys)
    first = enroll(service.client(old), "Ada", "mark")
    remove_key(keys, "desk")
    assert post(service.client(old), "/v1/enroll/vectors", "mark", identity="Ada").status_code == 401
    new = add_key(keys, "desk", role="write")
    again = enroll(service.client(new), "Ada", "mark")
    assert again.status_code == 201
    assert again.json()["observations"] != first.json()["observations"]


def test_a_key_that_may_do_less_gets_no_answer(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    token = add_key(keys, "desk", role="write")
    client = start(keys=keys).client(token)
    assert enroll(client, "Ada", "mark").status_code == 201
    text = keys.read_text()
    keys.write_text(text.replace('"write"', '"read"'))
    again = enroll(client, "Ada", "mark")
    assert (again.status_code, "Ada" in again.text) == (403, False)


def test_one_key_does_not_push_out_the_answers_of_another(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MOST", 3)
    service = start()
    writer, admin, reader = (service.client(f"{role}-token") for role in ("writer", "admin", "reader"))
    first = enroll(writer, "Ada", "mark")
    for i in range(5):
        assert enroll(reader, "eve", f"mark {i}").status_code == 403
        assert enroll(admin, "grace", f"mark {i}", axis=1).status_code == 201
    again = enroll(writer, "Ada", "mark")
    assert (again.status_code, again.text, observations(writer)) == (201, first.text, 1 + 5)
    assert enroll(admin, "grace", "mark 4", axis=1).status_code == 201
    assert observations(writer) == 1 + 5
    enroll(admin, "grace", "mark 0", axis=1)  # of its own answers, the newest three are kept
    assert observations(writer) == 1 + 6


@pytest.mark.parametrize(("name", "value"), [("MOST", 2), ("SECONDS", 0.0)])
def test_what_is_being_worked_on_is_not_begun_again(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    entered, gate, real = threading.Event(), threading.Event(), encoder.encode_batch

    def held(*args: object, **options: object) -> object:
        entered.set()
        assert gate.wait(200)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder, "encode_batch", held)
    monkeypatch.setattr(replays, name, value)
    client = start().client()
    request = client.build_request("POST", "/v1/enroll", data={"identity": "Ada"}, files=files(person(1)))
    kind = {"Content-Type": request.headers["Content-Type"], "Idempotency-Key": "mark"}
    content = request.read()
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/v1/enroll", content=content, headers=kind)))
    thread.start()
    assert entered.wait(200)
    for i in range(4):
        assert enroll(client, "grace", f"mark {i}").status_code == 201
    try:
        assert client.post("/v1/enroll", content=content, headers=kind).status_code == 409
    finally:
        gate.set()
        thread.join()
    assert answers[0].status_code == 201
    assert observations(client) == 4 + 1


def test_an_answer_that_is_given_again_is_on_record(start: Start) -> None:
    client = start().client("admin-token")
    first = enroll(client, "Ada", "mark")
    again = enroll(client, "Ada", "mark")
    assert again.text == first.text
    newest = log(client)[0]
    assert (newest["action"], newest["actor"], newest["identity"]) == ("repeat", "key-3", None)
    assert newest["detail"] == {
        "request": again.headers["x-request-id"],
        "first": first.headers["x-request-id"],
        "path": "/v1/enroll/vectors",
    }
    assert post(client, "/v1/undo").json()["action"] == "enroll"  # a repetition is no change


def test_an_answer_that_cannot_be_put_on_record_is_not_given_again(start: Start) -> None:
    service = start()
    client = service.client()
    assert enroll(client, "Ada", "mark").status_code == 201
    assert enroll(client, "Ada", "mark").status_code == 201
    store = service.app.state.service.gallery._gallery._store
    for database in (store._db, store._log_db):
        database.execute("PRAGMA query_only = ON")
    again = enroll(client, "Ada", "mark")
    assert (again.status_code, "Ada" in again.text) == (503, False)


def test_a_question_is_answered_anew_and_put_on_record(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    probe = {"vectors": [np.eye(client.get("/v1/gallery").json()["dim"])[0].tolist()]}
    assert post(client, "/v1/identify/vectors", "mark", **probe).json()["identity"] == "Ada"
    assert post(client, "/v1/forget", identity="Ada", confirm="Ada").status_code == 200
    again = post(client, "/v1/identify/vectors", "mark", **probe)
    assert (again.status_code, again.json()["identity"], "Ada" in again.text) == (200, None, False)
    assert [(e["action"], e["detail"].get("request")) for e in log(client)[:1]] == [  # type: ignore[attr-defined]
        ("identify", again.headers["x-request-id"])
    ]


def test_what_was_refused_can_be_tried_again(start: Start) -> None:
    client = start().client()
    enroll(client, "Ada")
    assert post(client, "/v1/merge", "mark", into="Ada", other="grace").status_code == 404
    enroll(client, "grace", axis=1)
    assert post(client, "/v1/merge", "mark", into="Ada", other="grace").status_code == 200

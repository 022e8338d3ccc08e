"""The service from outside: every endpoint over real HTTP, on a loopback port."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.end_to_end.service.harness import KEYS, Running, bearer, files, person, picture

from passerby.errors import ConfigError
from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.service.api_keys import add_key, remove_key
from passerby.service.limits import Limits
from passerby.service.server import listen

Start = Callable[..., Running]


def enroll(client: httpx.Client, name: str, *seeds: int, **fields: str) -> httpx.Response:
    return client.post("/v1/enroll", data={"identity": name, **fields}, files=files(*map(person, seeds)))


def identify(client: httpx.Client, *seeds: int, **fields: str) -> httpx.Response:
    return client.post("/v1/identify", data=fields, files=files(*map(person, seeds)))


def test_a_person_is_enrolled_recognised_and_forgotten(start: Start) -> None:
    client = start().client()
    made = enroll(client, "ada", 1, camera="door", time="2026-05-01T12:00:00+00:00", notes="desk", consent="signed")
    assert made.status_code == 201, made.text
    assert enroll(client, "grace", 2, camera="door").status_code == 201
    answer = identify(client, 1, camera="hall").json()
    assert (answer["known"], answer["identity"], answer["verdict"]) == (True, "ada", "known")
    assert answer["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)
    assert answer["matches"][0]["camera"] == "door"
    assert [m["rank"] for m in answer["matches"]] == [1, 2]
    thumbnail = client.get(f"/v1/thumbnails/{answer['matches'][0]['observation']}")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.content.startswith(b"\xff\xd8")
    details = client.get("/v1/identity", params={"name": "ada"}).json()
    assert details["identity"]["notes"] == "desk"
    assert details["sightings"] == [
        {"observation": made.json()["observations"][0], "camera": "door", "time": 1777636800.0}
    ]
    refused = client.post("/v1/forget", json={"identity": "ada", "confirm": "Ada"})
    assert refused.status_code == 422
    gone = client.post("/v1/forget", json={"identity": "ada", "confirm": "ada"})
    assert gone.json() == {"observations": 1, "sightings": 0, "pending": ""}
    assert client.get("/v1/identity", params={"name": "ada"}).status_code == 404
    assert identify(client, 1).json()["matches"][0]["identity"] == "grace"


def test_the_probe_s_own_camera_is_excluded_by_default(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1, camera="door")
    assert identify(client, 1, camera="door").json()["matches"] == []
    assert identify(client, 1, camera="door", exclude_camera="false").json()["identity"] == "ada"


def test_vectors_do_what_pictures_do(start: Start, encoder: Encoder) -> None:
    client = start().client()
    vector = encoder.encode([picture(1)])[0].tolist()
    made = client.post("/v1/enroll/vectors", json={"identity": "ada", "vectors": [vector], "camera": "door"})
    assert made.status_code == 201, made.text
    by_vector = client.post("/v1/identify/vectors", json={"vectors": [vector]}).json()
    by_picture = identify(client, 1).json()
    assert by_vector["identity"] == by_picture["identity"] == "ada"
    assert by_vector["matches"][0]["distance"] == pytest.approx(by_picture["matches"][0]["distance"], abs=1e-3)
    assert client.get(f"/v1/thumbnails/{made.json()['observations'][0]}").status_code == 404
    seen = client.post("/v1/observe/vectors", json={"vectors": [vector], "camera": "hall"}).json()
    assert (seen["identity"], seen["new"]) == ("ada", False)


def test_a_tracklet_is_one_person(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1)
    answer = identify(client, 1, 1, 1).json()
    assert (answer["identity"], len(answer["matches"])) == ("ada", 1)


def test_unknown_people_are_observed_named_merged_and_the_merge_undone(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1)
    seen = client.post("/v1/observe", data={"camera": "hall", "threshold": "0.001"}, files=files(person(2))).json()
    assert (seen["identity"], seen["new"], seen["answer"]["known"]) == ("unknown-1", True, False)
    named = client.post("/v1/update", json={"identity": "unknown-1", "name": "grace", "expires": "2030-01-01"}).json()
    assert (named["name"], named["unknown"], named["expires"]) == ("grace", False, 1893456000.0)
    merged = client.post("/v1/merge", json={"into": "ada", "other": "grace"}).json()
    assert (merged["name"], merged["observations"], merged["aliases"]) == ("ada", 2, ["grace"])
    assert client.post("/v1/undo", json={}).json()["action"] == "merge"
    assert client.get("/v1/identities").json()["total"] == 2
    found = client.get("/v1/identities", params={"search": "GRA"}).json()
    assert [i["name"] for i in found["identities"]] == ["grace"]


def test_two_people_in_one_identity_are_split_and_the_split_undone(start: Start) -> None:
    client = start().client()
    first, second = enroll(client, "ada", 1).json()["observations"] + enroll(client, "ada", 2).json()["observations"]
    made = client.post("/v1/split", json={"identity": "ada", "observations": [second], "name": "grace"}).json()
    assert (made["name"], made["observations"]) == ("grace", 1)
    assert identify(client, 2).json()["identity"] == "grace"
    changes: tuple[dict[str, Any], ...] = ({"observations": [10**6]}, {"observations": [first]}, {"observations": []})
    for wrong in changes:
        assert client.post("/v1/split", json={"identity": "ada", **wrong}).status_code == 422
    assert client.post("/v1/split", json={"identity": "eve", "observations": [first]}).status_code == 404
    assert client.post("/v1/undo", json={}).json()["action"] == "split"
    assert client.get("/v1/identity", params={"name": "ada"}).json()["identity"]["observations"] == 2
    log = client.get("/v1/history").json()["events"]
    assert [(e["action"], e["actor"]) for e in log[:3]] == [(a, "key-3") for a in ("undo", "identify", "split")]


def test_purge_forgets_whose_retention_date_has_come(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1, expires="2000-01-01")
    enroll(client, "grace", 2, expires="2100-01-01")
    gone = client.post("/v1/purge").json()
    assert gone == {"identities": ["ada"], "observations": 1, "sightings": 0, "pending": ""}
    assert [i["name"] for i in client.get("/v1/identities").json()["identities"]] == ["grace"]


def test_a_date_is_a_date_in_forms_and_queries_as_in_json(start: Start) -> None:
    """Read as seconds, 21000101 is a day of 1970: whose retention ends then would be forgotten at once."""
    client = start().client()
    enroll(client, "ada", 1, camera="hall", time="20260501", expires="21000101")
    assert client.post("/v1/purge").json()["identities"] == []
    ada = client.get("/v1/identity", params={"name": "ada"}).json()
    assert ada["sightings"][0]["time"] == 1_777_593_600
    assert ada["identity"]["expires"] == 4_102_444_800
    seen = client.post("/v1/observe", data={"camera": "hall", "time": "1777593600.5"}, files=files(person(2))).json()
    found = {after: client.get("/v1/sightings", params={"after": after}).json() for after in ("20260501", "20260502")}
    assert [len(one["sightings"]) for one in found.values()] == [1, 0]
    assert found["20260501"]["sightings"][0]["sighting"] == seen["sighting"]
    assert [c["sightings"] for c in client.get("/v1/cameras", params={"before": "20260502"}).json()["cameras"]] == [1]
    assert client.get("/v1/cameras", params={"after": "20260502"}).json()["cameras"] == []
    for wrong in ("nan", "inf", "1e400"):
        answer = client.post("/v1/observe", data={"camera": "hall", "time": wrong}, files=files(person(2)))
        assert answer.status_code == 422
        assert "finite" in answer.text


def test_errors_of_forms_name_the_field(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1)
    wrong = {"camra": "door", "top": "0", "threshold": "near", "after": "yesterday", "score": "best"}
    for name, value in wrong.items():
        answer = identify(client, 1, **{name: value})
        assert (answer.status_code, name in answer.json()["detail"]) == (422, True), answer.text
    assert client.post("/v1/identify", data={"top": "1"}, files=[("other", b"x")]).status_code == 422
    assert identify(client, 1, camera="", after="1970-01-01", top="1", score="centroid").status_code == 200
    twice = client.post("/v1/identify", files=[*files(person(1)), ("top", (None, b"1")), ("top", (None, b"2"))])
    assert (twice.status_code, "twice" in twice.json()["detail"]) == (422, True)
    latin = client.post("/v1/identify", files=[*files(person(1)), ("camera", (None, b"\xff"))])
    assert (latin.status_code, "UTF-8" in latin.json()["detail"]) == (422, True)


def test_identifications_are_audited(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    desk, boss = add_key(keys, "front-desk", role="read"), add_key(keys, "boss", role="admin")
    service = start(keys=keys)
    enroll(service.client(boss), "ada", 1)
    answer = identify(service.client(desk), 1).json()
    events = service.client(boss).get("/v1/history", params={"identity": "ada"}).json()["events"]
    assert [(e["action"], e["actor"]) for e in events] == [("identify", "front-desk"), ("enroll", "boss")]
    assert events[0]["detail"]["request"] == answer["request"]
    decided = {"identity": "ada", "decision": "reject", "request": answer["request"], "distance": 0.4}
    assert service.client(desk).post("/v1/decide", json=decided).status_code == 403
    assert service.client(boss).post("/v1/decide", json=decided).status_code == 204
    newest = service.client(boss).get("/v1/history", params={"limit": 1}).json()["events"][0]
    assert (newest["action"], newest["identity"], newest["detail"]["request"]) == ("reject", "ada", answer["request"])


NEEDS = [
    ("GET", "/metrics", "read"),
    ("GET", "/v1/gallery", "read"),
    ("GET", "/v1/identities", "read"),
    ("GET", "/v1/identity?name=x", "read"),
    ("GET", "/v1/history?identity=x", "read"),
    ("GET", "/v1/history", "admin"),
    ("GET", "/v1/thumbnails/1", "read"),
    ("POST", "/v1/identify", "read"),
    ("POST", "/v1/identify/vectors", "read"),
    ("POST", "/v1/enroll", "write"),
    ("POST", "/v1/enroll/vectors", "write"),
    ("POST", "/v1/observe", "write"),
    ("POST", "/v1/observe/vectors", "write"),
    ("POST", "/v1/tracklets", "write"),
    ("POST", "/v1/tracklets/vectors", "write"),
    ("POST", "/v1/merge", "write"),
    ("POST", "/v1/split", "write"),
    ("POST", "/v1/update", "write"),
    ("POST", "/v1/undo", "write"),
    ("POST", "/v1/decide", "write"),
    ("POST", "/v1/forget", "admin"),
    ("POST", "/v1/purge", "admin"),
    ("POST", "/v1/threshold", "admin"),
    ("GET", "/v1/sightings", "read"),
    ("GET", "/v1/cameras", "read"),
    ("GET", "/v1/sightings/1/thumbnail", "read"),
    ("GET", "/v1/sightings/keep", "read"),
    ("POST", "/v1/sightings/keep", "admin"),
    ("POST", "/v1/sightings/find", "read"),
    ("POST", "/v1/sightings/find/vectors", "read"),
    ("GET", "/v1/calibration", "read"),
    ("GET", "/v1/duplicates", "read"),
    ("POST", "/v1/judge", "write"),
    ("POST", "/v1/far", "admin"),
]
BODIES = {
    "/v1/identify/vectors": {"vectors": [[1.0]]},
    "/v1/enroll/vectors": {"identity": "x", "vectors": [[1.0]]},
    "/v1/observe/vectors": {"vectors": [[1.0]]},
    "/v1/tracklets/vectors": {"vectors": [[1.0]], "camera": "x", "times": [0]},
    "/v1/merge": {"into": "x", "other": "y"},
    "/v1/split": {"identity": "x", "observations": [1]},
    "/v1/purge": {},
    "/v1/update": {"identity": "x"},
    "/v1/undo": {},
    "/v1/decide": {"identity": "x", "decision": "confirm", "request": "0" * 16, "distance": 1},
    "/v1/forget": {"identity": "x", "confirm": "x"},
    "/v1/threshold": {"threshold": 1.0},
    "/v1/sightings/keep": {"keep_vectors": True},
    "/v1/sightings/find/vectors": {"vectors": [[1.0]]},
    "/v1/judge": {"identity": "x", "other": "y", "judgement": "one person"},
    "/v1/far": {"far": 0.05},
}


def test_every_endpoint_needs_a_key_of_a_role(start: Start) -> None:
    service = start()
    ranks = list(KEYS)
    for method, path, role in NEEDS:
        body: dict[str, Any] = {"json": BODIES[path]} if path in BODIES and method == "POST" else {}
        if method == "POST" and not body:
            body = {"data": {"identity": "x"}, "files": files(b"no picture")}
        for wrong in (None, "guess", "reader-token ", "é"):
            headers: dict[Any, Any] = {} if wrong is None else {"Authorization": f"Bearer {wrong}".encode()}
            if wrong == "reader-token ":
                headers = {"Authorization": b"Basic reader-token"}
            answer = service.client(None).request(method, path, headers=headers, **body)
            assert answer.status_code == 401, (path, wrong)
            assert answer.headers["www-authenticate"] == "Bearer"
        for token, has in KEYS.items():
            answer = service.client(token).request(method, path, **body)
            allowed = ranks.index(token) >= [KEYS[t] for t in ranks].index(role)
            assert (answer.status_code == 403) is not allowed, (path, has, answer.text)
            assert answer.status_code < 500, answer.text
    described = {p for p in service.app.openapi()["paths"] if p not in {"/health", "/ready", "/v1/events"}}
    assert {re.sub(r"\{\w+\}", "1", path) for path in described} == {path.split("?")[0] for _, path, _ in NEEDS}


def test_keys_can_be_removed_while_the_service_runs(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    token = add_key(keys, "desk")
    assert token not in keys.read_text()
    client = start(keys=keys).client(token)
    assert client.get("/v1/gallery").status_code == 200
    remove_key(keys, "desk")
    assert client.get("/v1/gallery").status_code == 401
    keys.unlink()
    assert client.get("/v1/gallery").status_code == 503  # no request is accepted where keys cannot be read
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "the service cannot read its keys")
    add_key(keys, "desk")
    assert client.get("/ready").status_code == 200
    assert client.get("/v1/gallery").status_code == 401


def test_a_key_has_its_rate(start: Start) -> None:
    client = start(limits=Limits(rate=0.0002)).client()  # one every 5,000 s: the test may take its time
    answers = [client.get("/v1/gallery") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert 4000 <= int(answers[1].headers["retry-after"]) <= 5000
    assert client.get("/health").status_code == 200


def test_open_paths_and_security_headers(start: Start) -> None:
    service = start()
    client = service.client(None)
    for path in ("/", "/app.css", "/app.js", "/icon.svg", "/health", "/ready", "/openapi.json"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    about = service.client("reader-token").get("/v1/gallery").json()
    assert about["threshold"] == 0.2
    assert about["band"] == [pytest.approx(0.18), pytest.approx(0.23)]
    assert (about["role"], about["false_alarm_rate"], len(about["curve"])) == ("read", 0.01, 14)


def test_the_gallery_says_how_it_compares(start: Start, encoder: Encoder, tmp_path: Path) -> None:
    plain = start().client().get("/v1/gallery").json()["comparison"]
    assert (plain["camera_means"], plain["cohort"]) == (0, False)
    Gallery.open(tmp_path / "cohort.gallery", encoder=encoder, cohort=True).close()
    relative = start(path=tmp_path / "cohort.gallery").client().get("/v1/gallery").json()["comparison"]
    assert relative["cohort"]
    assert "20 next nearest people" in relative["text"]


def test_the_verdict_has_a_band(start: Start, encoder: Encoder) -> None:
    client = start().client()
    basis = np.eye(encoder.dim)
    client.post("/v1/enroll/vectors", json={"identity": "ada", "vectors": [basis[0].tolist()]})

    def at(distance: float) -> dict[str, object]:
        half = np.arcsin(distance / 2) * 2
        probe = basis[0] * np.cos(half) + basis[1] * np.sin(half)
        answer: dict[str, object] = client.post("/v1/identify/vectors", json={"vectors": [probe.tolist()]}).json()
        return answer

    verdicts = {d: (at(d)["verdict"], at(d)["known"]) for d in (0.1, 0.19, 0.21, 0.3)}
    assert verdicts == {0.1: ("known", True), 0.19: ("look", True), 0.21: ("look", False), 0.3: ("unknown", False)}


def test_metrics_count_what_happened(start: Start) -> None:
    client = start().client()
    enroll(client, "ada", 1, 2)
    identify(client, 1)
    client.get("/v1/identity", params={"name": "nobody-such"})
    text = client.get("/metrics").text
    assert 'passerby_requests_total{method="POST",route="/v1/enroll",status="201"} 1' in text
    assert 'passerby_requests_total{method="GET",route="/v1/identity",status="404"} 1' in text
    assert 'passerby_verdicts_total{verdict="known"} 1' in text
    assert "passerby_encode_batch_images_sum 3" in text
    assert "passerby_gallery_observations 2" in text
    assert "nobody-such" not in text
    assert "ada" not in text


def test_logs_are_json_without_names(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    from passerby.service.logs import JsonFormatter

    with caplog.at_level(logging.INFO, "passerby.service"):
        service = start()
        client = service.client()
        enroll(client, "Ada Lovelace", 1, notes="owes me money")
        client.get("/v1/identity", params={"name": "Ada Lovelace"})
        client.get("/v1/identity", params={"name": "Charles Babbage"})
        service.stop()  # an answer may be here before the line about it is
    lines = [JsonFormatter().format(record) for record in caplog.records]
    entries = [json.loads(line) for line in lines]
    assert [e["route"] for e in entries if e["message"] == "request"] == ["/v1/enroll", "/v1/identity", "/v1/identity"]
    assert entries[-1]["key"] == "key-3"
    for secret in ("Ada", "Lovelace", "Babbage", "money", "admin-token"):
        assert not any(secret in line for line in lines)


def test_read_only_answers_and_refuses_changes(start: Start, tmp_path: Path, encoder: Encoder) -> None:
    with Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        gallery.enroll("ada", person(1))
    before = (tmp_path / "people.gallery").read_bytes()
    service = start(read_only=True)
    assert identify(service.client(), 1).json()["identity"] == "ada"
    assert enroll(service.client(), "grace", 2).status_code == 403
    service.stop()
    assert (tmp_path / "people.gallery").read_bytes() == before


def test_concurrent_identifications_get_their_own_answers(start: Start) -> None:
    service = start()
    client = service.client()
    for seed in range(8):
        enroll(client, f"p{seed}", seed)
    answers: dict[int, object] = {}

    def ask(seed: int) -> None:
        answers[seed] = identify(service.client(), seed % 8).json()["identity"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {seed: f"p{seed % 8}" for seed in range(32)}


def test_stopping_lets_requests_in_flight_finish(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, entered = encoder.encode_batch, threading.Event()

    def slow(*args: object, **options: object) -> object:
        entered.set()
        time.sleep(0.5)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder, "encode_batch", slow)
    service = start()
    answers: list[httpx.Response] = []
    client = service.client()
    thread = threading.Thread(target=lambda: answers.append(enroll(client, "ada", 1)))
    thread.start()
    assert entered.wait(200)
    service.server.should_exit = True
    thread.join()
    service.thread.join()
    assert answers[0].status_code == 201
    with Gallery.open(service.path, encoder) as gallery:
        assert [i.name for i in gallery.identities()] == ["ada"]


def test_answers_are_sent_at_once(start: Start) -> None:
    """Without TCP_NODELAY every body waits 40 ms for the client's acknowledgement of the headers."""
    service = start()
    assert service.client().get("/health").status_code == 200
    (connection,) = service.server.server_state.connections  # kept alive
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_listening_socket_is_one_of_tcp(host: str) -> None:
    try:
        listener = listen(host, 0)
    except ConfigError:
        pytest.skip(f"this machine has no {host}")
    with listener, socket.create_connection(listener.getsockname()[:2]), listener.accept()[0] as accepted:
        assert (listener.proto, accepted.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)


def test_other_headers_and_paths(start: Start) -> None:
    client = start().client(None)
    assert client.get("/v1/gallery", headers={"X-API-Key": "reader-token"}).status_code == 200
    assert client.get("/v1/nothing", headers=bearer("reader-token")).status_code == 404
    assert client.get("/v1/merge", headers=bearer("admin-token")).status_code == 405
    assert client.get("/v1/nothing").status_code == 401


def test_a_request_with_an_idempotency_key_is_done_once(start: Start) -> None:
    service = start()
    client = service.client()
    body = client.build_request("POST", "/v1/enroll", data={"identity": "ada"}, files=files(person(1)))
    content = body.read()

    def send(client: httpx.Client, key: str = "first try", content: bytes = content) -> httpx.Response:
        kind = {"Content-Type": body.headers["Content-Type"], "Idempotency-Key": key}
        return client.post("/v1/enroll", content=content, headers=kind)

    answers = [send(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    assert client.get("/v1/gallery").json()["observations"] == 1
    other = send(client, content=content.replace(b"ada", b"eve"))
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)
    assert send(client, key="x" * 201).status_code == 422
    assert send(service.client("writer-token")).status_code == 201  # idempotency keys belong to the API key
    assert send(client, key="second try").status_code == 201
    assert client.get("/v1/gallery").json()["observations"] == 3


def test_a_request_with_an_idempotency_key_that_failed_can_be_tried_again(
    start: Start, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError

    client = start().client()
    request = client.build_request("POST", "/v1/enroll", data={"identity": "ada"}, files=files(person(1)))
    kind = {"Content-Type": request.headers["Content-Type"], "Idempotency-Key": "a key"}
    content = request.read()
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode_batch", broken)
        assert client.post("/v1/enroll", content=content, headers=kind).status_code == 500
    assert client.post("/v1/enroll", content=content, headers=kind).status_code == 201

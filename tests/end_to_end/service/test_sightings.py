"""Sightings over HTTP: read, searched, kept, and sent as they happen."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest
from tests.end_to_end.service.harness import Running, files, person

from passerby.gallery.gallery import Gallery
from passerby.service.limits import Limits
from passerby.service.webhooks import Webhook, sign

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
QUICK = Limits(rate=0, events_seconds=0.02, heartbeat_seconds=0.05, subscribers=2)


def observe(client: httpx.Client, seed: int, **fields: str) -> dict[str, Any]:
    answer = client.post("/v1/observe", data={"threshold": "0.001", **fields}, files=files(person(seed)))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_sightings_are_read_by_person_camera_and_time(start: Callable[..., Running]) -> None:
    client = start().client()
    first = observe(client, 1, camera="hall", time="100", end="105", source="hall.mp4")
    observe(client, 2, camera="hall", time="200")
    again = observe(client, 1, camera="yard", time="300")
    assert (again["identity"], again["new"], again["observations"]) == ("unknown-1", False, [])
    found = client.get("/v1/sightings").json()["sightings"]
    assert [s["start"] for s in found] == [300, 200, 100]
    assert found[2] | {"stored": 0} == {
        "sighting": first["sighting"], "identity": "unknown-1", "new": True, "camera": "hall", "start": 100, "end": 105,
        "distance": None, "p_value": None, "frames": 1, "source": "hall.mp4", "first_frame": None, "last_frame": None,
        "stored": 0, "thumbnail": True, "observations": first["observations"],
    }  # fmt: skip
    ask = {"identity": "unknown-1", "camera": "yard"}
    assert [s["start"] for s in client.get("/v1/sightings", params=ask).json()["sightings"]] == [300]
    assert len(client.get("/v1/sightings", params={"after": "150", "before": "250"}).json()["sightings"]) == 1
    assert len(client.get("/v1/sightings", params={"limit": "1"}).json()["sightings"]) == 1
    assert len(client.get("/v1/sightings", params={"newer_than": first["sighting"]}).json()["sightings"]) == 2
    assert client.get("/v1/sightings", params={"identity": "nobody"}).status_code == 404
    assert client.get("/v1/sightings", params={"after": "soon"}).status_code == 422
    picture = client.get(f"/v1/sightings/{first['sighting']}/thumbnail")
    assert picture.headers["content-type"] == "image/jpeg"
    assert client.get("/v1/sightings/99/thumbnail").status_code == 404
    hall, yard = client.get("/v1/cameras", params={"newest": "1"}).json()["cameras"]
    assert (hall["camera"], hall["sightings"], hall["identities"], hall["new"]) == ("hall", 2, 2, 2)
    assert [s["start"] for s in hall["newest"]] == [200]
    assert (yard["first"], yard["last"], yard["new"]) == (300, 300, 0)
    details = client.get("/v1/identity", params={"name": "unknown-1"}).json()
    assert [s["start"] for s in details["seen"]] == [300, 100]
    assert details["identity"]["sightings"] == 2


def test_sightings_are_kept_searched_and_forgotten(start: Callable[..., Running]) -> None:
    running = start()
    admin, reader = running.client(), running.client("reader-token")
    assert reader.post("/v1/sightings/keep", json={"keep_vectors": True}).status_code == 403
    assert admin.post("/v1/sightings/find", files=files(person(1))).status_code == 422
    kept = {"keep_vectors": True, "expire_after": 3600.0, "templates_per_camera": 4}
    assert admin.post("/v1/sightings/keep", json=kept).json() == kept
    assert reader.get("/v1/sightings/keep").json() == kept
    one = observe(admin, 1, camera="hall", time="1")
    two = observe(admin, 2, camera="hall", time="2")
    found = reader.post("/v1/sightings/find", data={"top": "1"}, files=files(person(2))).json()
    assert [r["sighting"]["sighting"] for r in found["results"]] == [two["sighting"]]
    assert found["results"][0]["distance"] == pytest.approx(0, abs=1e-3)
    assert (found["considered"], found["without_vector"]) == (2, 0)
    asked = admin.get("/v1/history").json()["events"][0]
    assert (asked["action"], asked["actor"], asked["detail"]["request"]) == (
        "find_sightings",
        "key-1",
        found["request"],
    )
    parted = admin.post("/v1/split", json={"identity": "unknown-1", "sightings": [one["sighting"]]}).json()
    assert (parted["name"], parted["sightings"]) == ("unknown-3", 1)
    erased = admin.post("/v1/forget", json={"identity": "unknown-3", "confirm": "unknown-3"}).json()
    assert (erased["sightings"], erased["observations"]) == (1, 0)
    assert admin.post("/v1/purge").json()["sightings"] == 0
    assert len(admin.get("/v1/sightings").json()["sightings"]) == 1


class Events:
    """What comes on /v1/events, one after the other; None where the stream has ended."""

    def __init__(self, client: httpx.Client, last: int | None = None) -> None:
        self._headers = {} if last is None else {"Last-Event-ID": str(last)}
        self.parts: Queue[str | None] = Queue()
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(client,))
        self._thread.start()
        assert self.ready.wait(60)

    def _read(self, client: httpx.Client) -> None:
        with client.stream("GET", "/v1/events", headers=self._headers) as stream:
            self.status = stream.status_code
            part: list[str] = []
            for line in stream.iter_lines():
                if line:
                    part.append(line)
                    continue
                self.ready.set()
                self.parts.put("\n".join(part))
                part = []
        self.ready.set()
        self.parts.put(None)

    def next(self, kind: str = "event: sighting") -> dict[str, Any]:
        while (part := self.parts.get(timeout=60)) is not None:
            if part.startswith(kind):
                return dict(json.loads(part.split("data: ", 1)[1]))
        raise AssertionError("the stream has ended")

    def end(self) -> None:
        while self.parts.get(timeout=60) is not None:
            pass
        self._thread.join()


def heartbeat(events: Events) -> None:
    """Wait for one, after which the feed knows what was stored before."""
    while not str(events.parts.get(timeout=60)).startswith(": nothing"):
        pass


def test_new_sightings_are_sent_as_they_are_stored(start: Callable[..., Running]) -> None:
    running = start(limits=QUICK)
    client = running.client()
    observe(client, 1, camera="hall", time="2026-05-01T08:00:00Z")
    events = Events(running.client("reader-token"))
    heartbeat(events)
    observe(client, 2, camera="hall", time="2026-05-01T08:00:01Z")
    new = events.next()
    assert (new["identity"], new["new"], new["visit"], new["camera"]) == ("unknown-2", True, True, "hall")
    with Gallery.open(running.path, fingerprint=client.get("/v1/gallery").json()["encoder"]) as other:
        vector = other.vectors([o.id for o in other.observations()][1:])
        other.observe(vector, camera="yard", time="2026-05-01T08:01:00Z", threshold=0.01)  # another process
        other.observe(vector, camera="yard", time="2026-05-01T09:01:00Z", threshold=0.01)
    assert [(e["identity"], e["camera"], e["visit"]) for e in (events.next(), events.next())] == [
        ("unknown-2", "yard", False),  # one visit
        ("unknown-2", "yard", True),
    ]
    assert "passerby_event_subscribers 1" in client.get("/metrics").text
    assert running.client(None).get("/v1/events").status_code == 401
    more = Events(running.client("writer-token"))
    assert client.get("/v1/events").status_code == 503  # a bounded number
    running.server.should_exit = True  # ends streams at once
    events.end()
    more.end()


def test_a_client_that_comes_again_gets_what_it_missed(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(limits=QUICK)
    client = running.client()
    seen = [
        observe(client, seed, camera="hall", time=f"2026-05-01T08:00:0{seed}Z", threshold="0.001")["sighting"]
        for seed in range(1, 5)
    ]
    events = Events(running.client("reader-token"), last=seen[1])
    assert [events.next()["sighting"] for _ in range(2)] == seen[2:]
    heartbeat(events)
    seen.append(observe(client, 6, camera="hall", time="2026-05-01T08:00:09Z", threshold="0.001")["sighting"])
    assert events.next()["sighting"] == seen[4]  # live, and once
    monkeypatch.setattr("passerby.service.sighting_feed._AT_ONCE", 2)
    late = Events(running.client("writer-token"), last=0)
    while not (part := str(late.parts.get(timeout=60))).startswith("event: "):
        pass
    assert part == "event: lost\ndata: 3"
    assert [late.next()["sighting"] for _ in range(2)] == seen[3:]
    for wrong in ("-1", "soon", "1" * 30):
        assert client.get("/v1/events", headers={"Last-Event-ID": wrong}).status_code == 422
    running.server.should_exit = True
    events.end()
    late.end()


@pytest.mark.parametrize("token", ["", "nobody-knows-this"])
def test_the_stream_needs_a_key(start: Callable[..., Running], token: str) -> None:
    running = start(limits=QUICK)
    answer = running.client(None).get("/v1/events", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"
    assert "passerby_event_subscribers 0" in running.client().get("/metrics").text


def test_a_key_that_is_removed_ends_the_stream(start: Callable[..., Running], tmp_path: Any) -> None:
    from passerby.service.api_keys import add_key, remove_key

    token = add_key(tmp_path / "keys.json", "desk")
    running = start(limits=QUICK, keys=tmp_path / "keys.json")
    events = Events(running.client(token))
    heartbeat(events)
    remove_key(tmp_path / "keys.json", "desk")
    events.end()


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[Any], list[int]]]:
    """A program that gets webhooks: its address, what it got, and the answers that it gives first."""
    got: Queue[Any] = Queue()
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_webhooks_are_signed_tried_again_and_sent_once_a_visit(
    start: Callable[..., Running], receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.service.webhooks.PAUSES", (0.01, 0.01))
    url, got, answers = receiver
    answers += [500, 302]
    hook = Webhook(url=url, secret=SECRET, cameras=("hall",))
    running = start(limits=QUICK, webhooks=[hook])
    client = running.client()
    heartbeat(events := Events(running.client("reader-token")))
    observe(client, 1, camera="hall", time="2026-05-01T08:00:00Z")
    tries = [got.get(timeout=60) for _ in range(3)]
    assert len({headers["webhook-id"] for headers, _ in tries}) == 1
    headers, body = tries[-1]
    expected = sign(SECRET, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected
    content = json.loads(body)
    assert (content["type"], content["data"]["identity"]) == ("sighting.new", "unknown-1")
    observe(client, 1, camera="hall", time="2026-05-01T08:01:00Z")  # the same visit
    observe(client, 2, camera="yard", time="2026-05-01T08:02:00Z")  # another camera
    observe(client, 1, camera="hall", time="2026-05-01T09:00:00Z")
    content = json.loads(got.get(timeout=60)[1])
    assert (content["type"], content["data"]["start"]) == ("sighting.known", 1777626000.0)
    assert got.empty()
    while 'passerby_webhooks_total{outcome="delivered"} 2' not in client.get("/metrics").text:
        threading.Event().wait(0.01)
    running.server.should_exit = True
    events.end()

"""Lists of identities and entries of the log over HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.end_to_end.service.harness import Running, files, person
from tests.end_to_end.service.page_driver import observe

from passerby.gallery.gallery import Gallery


def listed(service: Running, **query: str) -> list[str]:
    return [one["name"] for one in service.client().get("/v1/identities", params=query).json()["identities"]]


def test_identities_are_filtered_and_sorted(service: Running) -> None:
    client = service.client()
    observe(client, 5, "hall", "2026-05-01T10:00:00+00:00")
    assert listed(service) == ["grace", "ada", "unknown-1"]
    assert listed(service, kind="unknown") == ["unknown-1"]
    assert listed(service, kind="enrolled") == ["grace", "ada"]
    assert listed(service, kind="drift") == []
    assert listed(service, camera="hall") == ["unknown-1"]
    assert listed(service, sort="name") == ["ada", "grace", "unknown-1"]
    assert listed(service, sort="enrolled") == ["unknown-1", "grace", "ada"]
    assert listed(service, sort="sightings")[0] == "unknown-1"
    found = client.get("/v1/identities", params={"search": "ada"}).json()
    assert found["cameras"] == ["door", "hall"]
    details = client.get("/v1/identity", params={"name": "ada"}).json()
    assert found["identities"][0]["newest"] == details["sightings"][-1]["observation"]
    assert client.get("/v1/identities", params={"sort": "age"}).status_code == 422
    observe(client, 5, "07", "2026-05-01T11:00:00+00:00")
    assert listed(service, camera="7.0") == ["unknown-1"]
    assert len(client.get("/v1/sightings", params={"camera": "7"}).json()["sightings"]) == 1
    assert client.get("/v1/sightings", params={"camera": "-1"}).status_code == 422


def test_people_and_cameras_that_have_drifted(service: Running) -> None:
    with Gallery.open(service.path, fingerprint=service.client().get("/v1/gallery").json()["encoder"]) as gallery:
        ada, grace = (gallery.vectors([gallery.observations(name)[0].id])[0] for name in ("ada", "grace"))
        draw = np.random.default_rng(0)
        for number in range(100):
            noise = (0.2 if number >= 75 else 0.02) * draw.standard_normal(len(ada)) / len(ada) ** 0.5
            who = grace if number % 5 else ada
            gallery.observe(who + noise.astype(np.float32), camera="hall", threshold=0.5, once_per_instant=False)
    drifted = listed(service, kind="drift")
    assert "ada" in drifted
    everybody = service.client().get("/v1/identities").json()["identities"]
    assert [one["name"] for one in everybody if one["drift"]] == drifted
    assert {one["camera"]: one["drift"] for one in service.client().get("/v1/cameras").json()["cameras"]} == {
        "hall": True
    }


def test_the_log_says_what_can_be_undone(service: Running) -> None:
    client = service.client()

    def entries() -> dict[tuple[str, str | None], dict[str, Any]]:
        events = client.get("/v1/history").json()["events"]
        return {(one["action"], one["identity"]): one for one in events}

    assert all(one["undoable"] and not one["gone"] for one in entries().values())
    assert client.post("/v1/undo", json={}).status_code == 200
    assert client.post("/v1/forget", json={"identity": "ada", "confirm": "ada"}).status_code == 200
    assert not any(one["undoable"] for one in entries().values())
    assert all(one["gone"] for one in client.get("/v1/history").json()["events"] if one["action"] == "enroll")


@pytest.mark.parametrize(
    ("path", "body"),
    [("threshold", {"threshold": 0.5}), ("far", {"far": 0.2}), ("sightings/keep", {"keep_vectors": True})],
)
def test_who_may_not_change_a_setting_may_not_undo_its_change(
    service: Running, path: str, body: dict[str, Any]
) -> None:
    admin, writer = service.client(), service.client("writer-token")
    assert admin.post(f"/v1/{path}", json=body).status_code == 200
    event = admin.get("/v1/history", params={"limit": 1}).json()["events"][0]["id"]
    for which in ({}, {"event": event}):
        refused = writer.post("/v1/undo", json=which)
        assert refused.status_code == 403
        assert "'admin'" in refused.json()["detail"]
    assert admin.post("/v1/undo", json={}).json()["id"] == event
    assert writer.post("/v1/undo", json={}).json()["action"] == "enroll"


def test_the_answer_to_undo_is_the_change_as_it_stands_in_the_log(service: Running) -> None:
    client = service.client("writer-token")
    merged = client.post("/v1/merge", json={"into": "ada", "other": "grace"}).json()
    undone = client.post("/v1/undo", json={}).json()
    assert (merged["name"], undone["identity"], undone["gone"]) == ("ada", "ada", False)
    assert (undone["undone"], undone["undoable"]) == (True, False)
    assert client.post("/v1/undo", json={"event": undone["id"]}).status_code == 404
    assert undone in client.get("/v1/history", params={"identity": "ada"}).json()["events"]


def test_enrolling_answers_with_the_name_that_is_stored(service: Running) -> None:
    client = service.client()
    asked = ("1", " 01 ", "1.0", "ada\u200b")
    said = [client.post("/v1/enroll", data={"identity": n}, files=files(person(1))).json()["identity"] for n in asked]
    assert said == ["1", "1", "1", "ada"]
    vector = {"identity": "01", "vectors": [np.eye(service.app.state.context.encoder.dim)[0].tolist()]}
    assert client.post("/v1/enroll/vectors", json=vector).json()["identity"] == "1"
    client.post("/v1/merge", json={"into": "ada", "other": "grace"})
    assert client.post("/v1/enroll", data={"identity": "grace"}, files=files(person(2))).json()["identity"] == "ada"


@pytest.mark.parametrize("camera", ["-1", "-01", "\x00", " "])
def test_a_filter_by_a_camera_that_there_cannot_be_is_refused_by_all_lists(service: Running, camera: str) -> None:
    client = service.client()
    answers = [client.get(f"/v1/{what}", params={"camera": camera}) for what in ("identities", "sightings")]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert len({answer.json()["detail"] for answer in answers}) == 1

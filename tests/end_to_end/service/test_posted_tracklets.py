"""Tracklets over HTTP: crops, frames with boxes, vectors; what is refused, and what gets no verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from tests.end_to_end.service.harness import Running, encoded, files, person, picture

from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder
from passerby.models.model import build_model
from passerby.service.limits import Limits

Start = Callable[..., Running]
PATH = "/v1/tracklets"


def post(client: httpx.Client, *pictures: bytes, **fields: Any) -> httpx.Response:
    given = {"camera": "hall", "times": list(range(len(pictures))), "threshold": 0.001, **fields}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None
    }
    return client.post(PATH, data=texts, files=files(*pictures))


def frame(*people: tuple[int, int]) -> bytes:
    """A grey frame with people (seed, left edge), 40 from the top."""
    canvas = np.full((140, 240, 3), 128, np.uint8)
    for seed, left in people:
        canvas[40:104, left : left + 32] = picture(seed)
    return encoded(canvas)


def test_crops_are_a_sighting_with_their_moments(start: Start) -> None:
    client = start().client()
    first = post(client, *map(person, (1, 1, 1)), times=[10.0, 10.4, 11.0], frames=[101, 105, 111], source="hall.mp4")
    assert first.status_code == 200, first.text
    made = first.json()
    assert (made["decided"], made["identity"], made["new"], made["used"]) == (True, "unknown-1", True, 3)
    assert (made["quality"], made["skipped"]) == (pytest.approx(1, abs=1e-3), {})
    [seen] = client.get("/v1/sightings").json()["sightings"]
    assert seen["sighting"] == made["sighting"]
    found = {name: seen[name] for name in ("camera", "start", "end", "frames", "source", "first_frame", "last_frame")}
    assert found == {
        "camera": "hall",
        "start": 10.0,
        "end": 11.0,
        "frames": 3,
        "source": "hall.mp4",
        "first_frame": 101,
        "last_frame": 111,
    }
    assert client.get(f"/v1/sightings/{made['sighting']}/thumbnail").content.startswith(b"\xff\xd8")
    again = post(client, person(1), times=["2026-05-01T12:00:00+00:00"], camera="door").json()
    assert (again["identity"], again["new"], again["answer"]["known"]) == ("unknown-1", False, True)
    entry = client.get("/v1/history").json()["events"][0]
    assert (entry["action"], entry["actor"]) == ("seen", "key-3")


def test_nobody_is_two_tracklets_of_a_camera_at_once(start: Start) -> None:
    client = start().client()
    assert post(client, person(1), person(1), times=[0, 5]).json()["identity"] == "unknown-1"
    assert post(client, person(1), person(1), times=[3, 8], frames=[31, 81]).json()["identity"] == "unknown-2"
    assert post(client, person(1), times=[20]).json()["new"] is False


def test_people_are_cut_out_of_frames(start: Start, encoder: Encoder) -> None:
    client = start().client()
    vector = encoder.encode([picture(1)])[0].tolist()
    enrolled = client.post("/v1/enroll/vectors", json={"identity": "ada", "vectors": [vector]})
    assert enrolled.status_code == 201
    frames = [frame((1, 50), (2, 150)), frame((1, 60), (2, 150))]
    seen = post(client, *frames, boxes=[[50, 40, 82, 104], [60, 40, 92, 104]]).json()
    assert (seen["identity"], seen["used"]) == ("ada", 2)
    assert seen["answer"]["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)
    other = post(client, *frames, boxes=[[150, 40, 182, 104]] * 2, camera="door").json()
    assert (other["identity"], other["new"]) == ("unknown-1", True)


def test_a_poor_tracklet_gets_no_verdict(start: Start) -> None:
    client = start().client()
    frames = [frame((1, 50))] * 4
    boxes = [[0, 40, 82, 104], [300, 40, 330, 104], [50, 40, 82, 50], [-20, 40, -1, 90]]
    poor = post(client, *frames, boxes=boxes, scores=[0.3, 1, 1, 1]).json()
    assert poor == {
        "decided": False,
        "quality": 0.0,
        "used": 0,
        "skipped": {"of a quality below 0.1": 1, "boxes outside of their picture": 2, "lower than 24 pixels": 1},
        "identity": None,
        "new": None,
        "observations": [],
        "sighting": None,
        "answer": None,
    }
    assert client.get("/v1/identities").json()["total"] == 0
    cut = post(client, *frames, boxes=boxes, scores=[0.5, 1, 1, 1]).json()
    assert (cut["decided"], cut["used"], cut["quality"]) == (True, 1, pytest.approx(0.15))
    assert post(client, person(3), least_quality="1", scores=[0.9]).json()["skipped"] == {"of a quality below 1": 1}


def test_vectors_do_what_crops_do(start: Start, encoder: Encoder) -> None:
    client = start().client()
    rows = encoder.encode([picture(1), picture(2)])
    made = post(client, person(1)).json()
    body = {"camera": "door", "times": [5, 6], "vectors": [rows[0].tolist(), rows[1].tolist()], "scores": [1, 0.05]}
    seen = client.post(f"{PATH}/vectors", json=body).json()
    assert (seen["identity"], seen["used"], seen["new"]) == (made["identity"], 1, False)
    assert seen["skipped"] == {"of a score below 0.1": 1}
    torn = client.post(f"{PATH}/vectors", json={**body, "vectors": [rows[0].tolist(), (-rows[0]).tolist()]}).json()
    assert torn["used"] == 1
    for wrong, message in (
        ({"vectors": [[1.0]], "times": [0]}, "numbers, found 1"),
        ({"times": [1]}, "body.times: expected one entry for each of 2 vectors, found 1"),
        ({"times": [6, 5]}, "body.times: vectors are in the order"),
        ({"times": "[5, 6]"}, "body.times: Input should be a valid list"),
        ({"frames": [1.5, 2]}, "body.frames.0"),
    ):
        answer = client.post(f"{PATH}/vectors", json={**body, **wrong})
        assert answer.status_code == 422, answer.text
        assert message in answer.text


def test_deep_grey_pictures_are_read_with_the_bits_of_the_encoder(start: Start) -> None:
    """A thermal camera gives 12 bits in 16: read as 16, its pictures would be nearly black."""
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    deep = Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32, bits=12), config, {})
    deep.calibration = {"value": 0.2, "far": 0.01}
    client = start(encoder=deep).client()
    grey = encoded(picture(1)[..., 0].astype(np.uint16) * 16)
    enrolled = client.post("/v1/enroll", data={"identity": "ada", "camera": "hall"}, files=files(grey))
    assert enrolled.status_code == 201
    for fields in ({}, {"boxes": [[0, 0, 32, 64]]}):
        seen = post(client, grey, camera="hall", **fields).json()
        assert seen["answer"]["matches"][0]["distance"] < 1e-4, fields
        assert seen["identity"] == "ada"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"camera": None}, "body.camera: Field required"),
        ({"times": None}, "body.times: Field required"),
        ({"times": [0]}, "body.times: expected one entry for each of 2 images, found 1"),
        ({"times": "0, 1"}, "body.times: expected a list in JSON"),
        ({"times": '{"0": 1}'}, "body.times: expected a list in JSON"),
        ({"times": "[0, NaN]"}, "body.times: expected a list in JSON"),
        ({"times": "[" * 4000}, "body.times: expected a list in JSON"),
        ({"times": ["yesterday", "today"]}, "times.0: 'yesterday' is not ISO 8601"),
        ({"times": [1, 0]}, "body.times: images are in the order of their moments"),
        ({"frames": [1, 1]}, "body.frames: expected ascending numbers"),
        ({"frames": [1, 2**63]}, "body.frames.1: Input should be less than or equal to 9223372036854775807"),
        ({"scores": [1, 2]}, "body.scores.1: Input should be less than or equal to 1"),
        ({"boxes": [[0, 0, 5, 5]]}, "body.boxes: expected one entry for each of 2 images, found 1"),
        ({"boxes": [[0, 0, 5, 5], [5, 0, 0, 5]]}, "body.boxes.1: expected left, top, right, bottom"),
        ({"boxes": [[0, 0, 5, 5], [5, 0, 9]]}, "body.boxes.1: List should have at least 4 items"),
        ({"least_quality": "2"}, "body.least_quality"),
        ({"sources": "x"}, "body.sources: Extra inputs are not permitted"),
    ],
)
def test_errors_name_the_field(start: Start, fields: dict[str, Any], message: str) -> None:
    answer = post(start().client(), person(1), person(1), **fields)
    assert answer.status_code == 422, answer.text
    assert message in answer.text


def test_bounds_and_repeats_are_those_of_observe(start: Start) -> None:
    service = start(limits=Limits(rate=0, images=2, pixels=5000))
    client = service.client("writer-token")
    assert post(client, *[person(1)] * 3).status_code == 413
    assert post(client, encoded(picture(1, (80, 80)))).status_code == 413
    assert post(client, b"GIF89a").status_code == 415
    many = {"camera": "hall", "times": [0] * 3, "vectors": [[1.0, 0.0]] * 3}
    assert client.post(f"{PATH}/vectors", json=many).status_code == 413
    boundary = "--" + "x" * 20
    body = "".join(
        f'{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("camera", "hall"), ("times", "[0]"), ("threshold", "0.001"))
    ).encode()
    body += f'{boundary}\r\nContent-Disposition: form-data; name="images"\r\n\r\n'.encode()
    body += person(1) + f"\r\n{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary[2:]}", "Idempotency-Key": "one"}
    answers = [client.post(PATH, content=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json()
    assert len(client.get("/v1/sightings").json()["sightings"]) == 1
    closed = start(path=service.path.with_name("other.gallery")).client("reader-token")
    assert post(closed, person(1)).status_code == 403

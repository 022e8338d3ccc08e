"""What the service says of the gallery's calibration, and of pairs of identities that may be one person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.contracts.galleries import people
from tests.end_to_end.service.harness import Running

from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder

Start = Callable[..., Running]


def fill(path: Path, encoder: Encoder) -> np.ndarray:
    """Sixty people by two cameras, and one of them once more under another name."""
    crowd = people(62, 5, seed=3, spread=0.06, dim=encoder.dim)
    rows = crowd[:60, :4].reshape(-1, encoder.dim)
    with Gallery.open(path, encoder) as gallery:
        gallery.enroll_many([f"p{i // 4}" for i in range(240)], vectors=rows, cameras=["door", "hall"] * 120)
        gallery.enroll("again", vectors=crowd[0, 4], camera="hall")
    return crowd


def test_answers_carry_the_p_value_and_what_it_rests_on(start: Start, tmp_path: Path, encoder: Encoder) -> None:
    crowd = fill(tmp_path / "people.gallery", encoder)
    client = start().client()
    about = client.get("/v1/calibration", params={"kind": "identify"}).json()
    assert (about["far"], about["people"], about["source"]) == (0.01, 61, "gallery")
    assert about["in_force"] == about["threshold"]
    rates = [point["far"] for point in about["curve"]]
    assert rates == sorted(rates)
    for person in (0, 1, 60, 61):
        body = {"vectors": [crowd[person, 3].tolist()], "camera": "door"}
        answer = client.post("/v1/identify/vectors", json=body).json()
        assert answer["threshold"] == about["threshold"]
        assert answer["known"] == (answer["p_value"] <= 0.01)
        assert answer["basis"] == "gallery"
        assert "61 enrolled people" in answer["note"]


def test_a_threshold_that_was_set_has_its_rate_in_this_gallery(start: Start, tmp_path: Path, encoder: Encoder) -> None:
    fill(tmp_path / "people.gallery", encoder)
    client = start().client()
    client.post("/v1/threshold", json={"threshold": 1.0})
    about = client.get("/v1/calibration").json()
    assert about["in_force"] == 1.0
    assert about["in_force_far"] > 0.01
    client.post("/v1/threshold", json={"threshold": None})
    wider = client.post("/v1/far", json={"far": 0.2}).json()
    assert wider["threshold"] > about["threshold"]
    assert client.post("/v1/far", json={"far": 1}).status_code == 422


def test_pairs_are_listed_and_judged(start: Start, tmp_path: Path, encoder: Encoder) -> None:
    fill(tmp_path / "people.gallery", encoder)
    client = start().client()

    def pairs() -> set[tuple[str, str]]:
        found = client.get("/v1/duplicates").json()["pairs"]
        return {(pair["identity"], pair["other"]) for pair in found}

    assert ("p0", "again") in pairs()
    body = {"identity": "p0", "other": "again", "judgement": "different people"}
    assert client.post("/v1/judge", json=body).status_code == 204
    assert ("p0", "again") not in pairs()
    assert client.post("/v1/undo", json={}).status_code == 200
    assert ("p0", "again") in pairs()
    assert client.post("/v1/judge", json={**body, "other": "nobody"}).status_code == 404


def test_a_cohort_gives_each_answer_its_threshold(start: Start, tmp_path: Path, encoder: Encoder) -> None:
    crowd = people(230, 3, seed=3, spread=0.06, dim=encoder.dim)
    with Gallery.open(tmp_path / "people.gallery", encoder, cohort=True) as gallery:
        rows = crowd[:220, :2].reshape(-1, encoder.dim)
        gallery.enroll_many([f"p{i // 2}" for i in range(440)], vectors=rows, cameras=["door", "hall"] * 220)
    client = start().client()
    about = client.get("/v1/calibration", params={"kind": "identify"}).json()
    assert (about["cohort"], about["camera_means"], about["curve"]) == (True, 0, [])
    thresholds = set()
    for person in (0, 1, 2, 221, 222):
        body = {"vectors": [crowd[person, 2].tolist()], "camera": "gate"}
        answer = client.post("/v1/identify/vectors", json=body).json()
        assert answer["known"] == (answer["p_value"] <= 0.01)
        thresholds.add(answer["threshold"])
    assert len(thresholds) == 5

"""A film that is watched while the service runs: its sightings come live, and on the operator's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.end_to_end.service.harness import Running
from tests.end_to_end.service.page_driver import MARKS
from tests.end_to_end.service.test_sightings import Events, heartbeat
from tests.stripe_colors import StripeColors

import passerby as pb
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.models.encoder import Encoder
from passerby.models.engines.preprocessing import Preprocessing
from passerby.service.limits import Limits
from passerby.tracking.films import read_frames

pytest.importorskip("av")
pytest.importorskip("trackers")
BY_COLORS = 0.5  # distance of two drawn people's colours, and more


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnFilm:
    return draw_films(tmp_path_factory.mktemp("film"), people=2, cameras=1, seconds=6, rate=10, seed=1)[0]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    size = Preprocessing(height=64, width=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Encoder(StripeColors(), size, fingerprint="stripes", model_config={}, provenance={})


@pytest.fixture
def service(start: Callable[..., Running], encoder: Encoder, drawn: DrawnFilm) -> Running:
    """Its gallery knows the first person of the film as ada."""
    running = start(encoder=encoder, limits=Limits(rate=0, events_seconds=0.05, heartbeat_seconds=0.05))
    with pb.Gallery.open(running.path, encoder) as gallery:
        gallery.enroll("ada", pictures_of(drawn, 1), camera="door")
    return running


def pictures_of(drawn: DrawnFilm, person: int) -> list[np.ndarray]:
    boxes = {box.frame: box for box in pb.read_boxes(drawn.truth).boxes if box.track == person}
    found = []
    for frame in read_frames(drawn.film):
        box = boxes.get(frame.index)
        if box is not None and frame.image is not None and 2 < box.x < 318 - box.width:
            x, y = int(box.x), int(box.y)
            found.append(frame.image[y : y + int(box.height), x : x + int(box.width)])
    return found[::8]


def watch(running: Running, encoder: Encoder, drawn: DrawnFilm) -> list[pb.WatchedSighting]:
    """As another process does it: with a gallery of its own."""
    with pb.Gallery.open(running.path, encoder) as gallery:
        seen = pb.watch(drawn.film, gallery, camera="hall", boxes=drawn.truth, threshold=BY_COLORS, start=1.8e9)
        return list(seen)


def test_known_and_unknown_people_of_a_film_come_as_live_sightings(
    service: Running, encoder: Encoder, drawn: DrawnFilm
) -> None:
    events = Events(service.client("reader-token"))
    heartbeat(events)
    seen = watch(service, encoder, drawn)
    stored = [one.sighting for one in seen if one.sighting is not None]
    came = [events.next() for _ in stored]
    assert [one["sighting"] for one in came] == [one.id for one in stored]
    assert {one["identity"] for one in came} >= {"ada", "unknown-1"}
    assert {one["identity"]: one["new"] for one in reversed(came)} | {"ada": False} == {
        one["identity"]: one["identity"] != "ada" for one in came
    }
    assert {one["camera"] for one in came} == {"hall"}
    assert all(1.8e9 <= one["start"] <= one["end"] < 1.8e9 + 6 for one in came)
    client = service.client("reader-token")
    picture = client.get(f"/v1/sightings/{came[0]['sighting']}/thumbnail")
    assert picture.content.startswith(b"\xff\xd8")
    [camera] = [one for one in client.get("/v1/cameras").json()["cameras"] if one["camera"] == "hall"]
    assert camera["sightings"] == len(stored)
    service.server.should_exit = True
    events.end()


class TestPage:
    """In a browser."""

    pytestmark = MARKS

    def test_they_appear_on_the_page(self, page: Any, service: Running, encoder: Encoder, drawn: DrawnFilm) -> None:
        page.wait_for_selector("text=Live")
        seen = watch(service, encoder, drawn)
        stored = [one for one in seen if one.sighting is not None]
        page.wait_for_selector(f"text={len(stored)} sightings")
        shown = page.inner_text("#view-sightings")
        assert "hall" in shown
        assert "ada" in shown
        assert "unknown-1" in shown

"""Webhooks: their file, their signature, and what one visit is."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from passerby.errors import ConfigError
from passerby.service.schemas import SightingEvent, SightingSummary
from passerby.service.sighting_feed import Subscriber
from passerby.service.visits import Visits
from passerby.service.webhooks import FORMAT, Webhook, _is_wanted, read_webhooks, sign

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification (its library's tests)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_file_of_webhooks_is_read(tmp_path: Path) -> None:
    hook = {"url": "https://example.org/hook", "secret": SECRET, "kinds": ["new"], "cameras": ["hall"], "per_hour": 6}
    (found,) = read_webhooks(write(tmp_path / "w.json", {"format": FORMAT, "webhooks": [hook]}))
    assert (found.url, found.kinds, found.cameras, found.per_hour) == (hook["url"], ("new",), ("hall",), 6)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        [],
        {"format": "other", "webhooks": []},
        {"format": FORMAT, "webhooks": [{"url": "ftp://example.org", "secret": SECRET}]},
        {"format": FORMAT, "webhooks": [{"url": "https://a:b@example.org", "secret": SECRET}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": "whsec_c2hvcnQ="}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "kind": "new"}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "kinds": ["old"]}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "kinds": []}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "cameras": []}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "cameras": ["-1"]}]},
        {"format": FORMAT, "webhooks": [{"url": "https://example.org", "secret": SECRET, "per_hour": True}]},
        {"format": FORMAT, "webhooks": [], "cameras": ["hall"]},
    ],
)
def test_a_wrong_file_is_refused_without_its_secret(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ConfigError, match=r"w\.json") as caught:
        read_webhooks(write(tmp_path / "w.json", content))
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_webhooks(tmp_path / "none.json")


def sighting(identity: str, start: float | None, stored: float = 0.0) -> SightingSummary:
    return SightingSummary(
        sighting=1, identity=identity, new=False, camera="hall", start=start, end=start, distance=None, p_value=None,
        frames=1, source="", first_frame=None, last_frame=None, stored=stored, thumbnail=False, observations=[],
    )  # fmt: skip


def test_the_cameras_of_a_webhook_are_meant_in_any_writing() -> None:
    hook = Webhook(url="https://example.org", secret=SECRET, cameras=("07", "hall"))
    for camera, wanted in (("7", True), ("7.0", True), ("hall", True), ("8", False), (None, False)):
        seen = sighting("ada", 1.0).model_copy(update={"camera": camera})
        event = SightingEvent.model_construct(**{**seen.model_dump(), "visit": True})
        assert _is_wanted(hook, event) == wanted


def test_a_visit_ends_after_a_break() -> None:
    visits, noon = Visits(300), 1_780_000_000.0
    steps = [("ada", noon), ("ada", noon + 200), ("bob", noon), ("ada", noon + 450), ("ada", noon + 751)]
    assert [visits.begins(sighting(who, at)) for who, at in steps] == [True, False, True, False, True]


def test_visits_of_films_count_from_when_they_were_stored() -> None:
    visits = Visits(300)
    steps = [(5.0, 1000.0), (900.0, 1100.0), (None, 1500.0)]
    assert [visits.begins(sighting("ada", at, stored)) for at, stored in steps] == [True, False, True]


def test_a_clock_that_is_put_back_silences_nobody() -> None:
    visits = Visits(300)
    steps = [(None, 10_000.0), (None, 2_000.0), (None, 2_100.0), (None, 1_990.0), (None, 2_500.0)]
    assert [visits.begins(sighting("ada", at, stored)) for at, stored in steps] == [True, True, False, False, True]


def test_a_slow_subscriber_loses_the_oldest() -> None:
    subscriber = Subscriber(2)
    for _ in range(5):
        subscriber.put(None)
    assert (subscriber.queue.qsize(), subscriber.lost) == (2, 3)

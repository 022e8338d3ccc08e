"""A clock that is put back: nothing is erased early, the log keeps its order, and what was undone stays undone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.contracts.galleries import people

from passerby.gallery.gallery import Gallery

PEOPLE = people(4, 6)
DAY = 86_400.0
NOW = 1_780_000_000.0


class Clock:
    """`time.time` of the test."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(NOW)
    monkeypatch.setattr(time, "time", made)
    return made


def test_the_log_keeps_its_order(tmp_path: Path, clock: Clock) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        clock.now -= 30 * DAY
        gallery.enroll("bob", vectors=PEOPLE[1, :2])
        gallery.rename("ada", "eve")
        actions = [(event.action, event.name) for event in gallery.history()]
        assert actions == [("update", "eve"), ("enroll", "bob"), ("enroll", "eve")]
        assert [event.id for event in gallery.history()] == [3, 2, 1]
        assert gallery.undo().action == "update"
        assert gallery.undo().action == "enroll"
        assert "ada" in gallery
        assert "bob" not in gallery


def test_nobody_is_forgotten_early_and_everybody_in_the_end(tmp_path: Path, clock: Clock) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        gallery.enroll("bob", vectors=PEOPLE[1, :2])
        gallery.update("ada", expires=NOW + DAY)
        clock.now = NOW - 400 * DAY
        assert gallery.purge().identities == ()
        clock.now = NOW + DAY + 1
        assert gallery.purge().identities == ("ada",)
        clock.now = NOW - 400 * DAY  # what is gone does not come back
        assert "ada" not in gallery
        assert gallery.purge().identities == ()


@pytest.mark.parametrize("dated", [True, False])
def test_sightings_end_by_their_own_dates(tmp_path: Path, clock: Clock, dated: bool) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.set_threshold(0.6)
        gallery.set_sightings(expire_after=7 * DAY)
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        gallery.observe(PEOPLE[0, 2], camera="hall", time=NOW if dated else 12.0)
        clock.now = NOW - 400 * DAY
        gallery.observe(PEOPLE[0, 3], camera="yard", time=clock.now if dated else 13.0)
        assert gallery.purge().sightings == 0
        clock.now = NOW + 6 * DAY
        assert gallery.purge().sightings == 1  # the one that was stored while the clock was behind
        assert [seen.camera for seen in gallery.sightings()] == ["hall"]
        clock.now = NOW + 8 * DAY
        assert gallery.purge().sightings == 1


def test_calibration_follows_the_content_not_the_clock(tmp_path: Path, clock: Clock) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        for number in range(4):
            gallery.enroll(f"p{number}", vectors=PEOPLE[number, :3])
        before = gallery.calibration()
        clock.now -= 400 * DAY
        assert gallery.calibration() == before
        gallery.enroll("more", vectors=people(9, 3)[8])
        after = gallery.calibration()
        assert after.identities == 5
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        assert gallery.calibration() == after


def test_new_sightings_are_found_by_their_numbers(tmp_path: Path, clock: Clock) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.set_threshold(0.6)
        gallery.enroll("ada", vectors=PEOPLE[0, :2])
        gallery.observe(PEOPLE[0, 2], time=NOW)
        last = gallery.last_sighting()
        clock.now -= 400 * DAY
        gallery.observe(PEOPLE[0, 4], time=NOW - 300 * DAY)
        (found,) = gallery.sightings(newer_than=last)
        assert (found.id, found.start) == (last + 1, NOW - 300 * DAY)
        assert found.at == NOW - 400 * DAY

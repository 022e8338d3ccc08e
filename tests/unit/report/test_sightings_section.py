"""The report's tables of whom the cameras of a gallery saw."""

from __future__ import annotations

from passerby.gallery.result_types import Sighting
from passerby.report.sections.sightings import sightings

NOON = 1_780_000_000.0


def seen(identity: str, camera: str | None, start: float | None, end: float | None = None) -> Sighting:
    return Sighting(identity, False, None, camera=camera, start=start, end=start if end is None else end)


def test_people_and_cameras_are_counted() -> None:
    people, cameras = sightings(
        [
            seen("ada", "hall", NOON, NOON + 60),
            seen("ada", "hall", NOON + 3600),
            seen("ada", None, 12.5),
            seen("bob", "yard", None),
        ]
    )
    assert people.table is not None
    assert people.table.rows == (
        ("ada", "3", "hall 2, not known 1", "12.5 s", "2026-05-28 21:26:40 UTC"),
        ("bob", "1", "yard 1", "–", "–"),
    )
    assert people.text == ("4 sightings of 2 people by 3 cameras; most seen first.",)
    assert cameras.table is not None
    assert [row[:3] for row in cameras.table.rows] == [("hall", "2", "1"), ("not known", "1", "1"), ("yard", "1", "1")]


def test_what_is_not_shown_is_counted_and_nobody_is_said() -> None:
    people, _ = sightings([seen(f"p{i}", "hall", NOON) for i in range(230)])
    assert people.table is not None
    assert len(people.table.rows) == 200
    assert people.notes == ("30 people who were seen less are not shown.",)
    (none,) = sightings([])
    assert none.text == ("The gallery holds no sightings.",)

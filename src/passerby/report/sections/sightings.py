"""Whom the cameras of a gallery saw: by person, and by camera."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from passerby.report.html_page import Section, Table

_MOST_PEOPLE = 200
_FIRST_DATE, _LAST_DATE = 631_152_000.0, 253_402_300_800.0  # 1990 and the year 10,000: other seconds are a film's


class Seen(Protocol):
    """What is shown of a sighting; `passerby.Sighting` is one."""

    @property
    def identity(self) -> str:
        """Who."""
        ...

    @property
    def camera(self) -> str | None:
        """Where, if it is known."""
        ...

    @property
    def start(self) -> float | None:
        """First moment, seconds (since 1970 where it is a date)."""
        ...

    @property
    def end(self) -> float | None:
        """Last moment."""
        ...


def sightings(seen: Sequence[Seen]) -> list[Section]:
    """Two tables, of the people who were seen most and of all cameras; one sentence where nobody was seen."""
    if not seen:
        return [Section("Sightings", text=("The gallery holds no sightings.",))]
    people = _grouped(seen, [one.identity for one in seen])
    cameras = _grouped(seen, [one.camera or "not known" for one in seen])
    shown = sorted(people, key=lambda name: (-len(people[name]), name))[:_MOST_PEOPLE]
    left = len(people) - len(shown)
    by_person = tuple(
        (
            name,
            f"{len(people[name]):,}",
            ", ".join(f"{camera} {count:,}" for camera, count in _counts(one.camera for one in people[name])),
            *_span(people[name]),
        )
        for name in shown
    )
    by_camera = tuple(
        (name, f"{len(own):,}", f"{len({one.identity for one in own}):,}", *_span(own))
        for name, own in sorted(cameras.items())
    )
    return [
        Section(
            "Sightings",
            text=(f"{len(seen):,} sightings of {len(people):,} people by {len(cameras):,} cameras; most seen first.",),
            table=Table(("person", "sightings", "by camera", "first", "last"), by_person, words=True),
            notes=(f"{left:,} people who were seen less are not shown.",) if left else (),
        ),
        Section(
            "Sightings by camera",
            table=Table(("camera", "sightings", "people", "first", "last"), by_camera, words=True),
        ),
    ]


def _grouped(seen: Sequence[Seen], names: Sequence[str]) -> dict[str, list[Seen]]:
    groups: dict[str, list[Seen]] = {}
    for name, one in zip(names, seen, strict=True):
        groups.setdefault(name, []).append(one)
    return groups


def _counts(cameras: Iterable[str | None]) -> list[tuple[str, int]]:
    return sorted(Counter(camera or "not known" for camera in cameras).items())


def _span(seen: Sequence[Seen]) -> tuple[str, str]:
    first = min((one.start for one in seen if one.start is not None), default=None)
    last = max((one.end for one in seen if one.end is not None), default=None)
    return _moment(first), _moment(last)


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if _FIRST_DATE <= seconds < _LAST_DATE:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{seconds:g} s"

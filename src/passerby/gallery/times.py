"""Moments as callers write them, in seconds and back."""

from __future__ import annotations

import datetime as dt
import math
from typing import TypeAlias

import numpy as np

from passerby.errors import GalleryRequestError

Moment: TypeAlias = float | int | str | dt.datetime | dt.date
"""Seconds (also as text), a date, or ISO 8601 text."""
END_OF_DATES = 253_402_300_800.0
"""The year 10000: no moment is as late, and none as much before 1970."""
FIRST_DATE = 631_152_000.0
"""1990: from here on seconds are taken as a date, since 1970; smaller numbers are seconds of a film."""


def to_seconds(value: Moment, *, what: str) -> float:
    """A moment in seconds: a number as it is, a date or ISO 8601 text as seconds since 1970.

    Text that is no ISO 8601 and a number ("12.5") is that many seconds.

    Raises:
        GalleryError: not a finite number of seconds before the year 10000, not ISO 8601, or a date-time without a
            time zone.
    """
    if isinstance(value, bool):
        raise GalleryRequestError(f"{what}: expected seconds, a date or ISO 8601 text, found {value!r}")
    if isinstance(value, (int, float, np.integer, np.floating)):
        if not abs(value) < END_OF_DATES:
            found = "a larger whole number" if isinstance(value, int) else repr(value)
            raise GalleryRequestError(
                f"{what}: expected a finite number of seconds, before the year 10000, found {found}"
            )
        return float(value)
    moment = _parse(value, what) if isinstance(value, str) else value
    if isinstance(moment, float):
        return to_seconds(moment, what=what)
    if isinstance(moment, dt.datetime):
        if moment.tzinfo is None:
            raise GalleryRequestError(
                f"{what}: {moment.isoformat()} has no time zone; write for example ...T12:00:00+00:00"
            )
        return moment.timestamp()
    if isinstance(moment, dt.date):
        return dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC).timestamp()
    raise GalleryRequestError(f"{what}: expected seconds, a date or ISO 8601 text, found {type(value).__name__}")


def is_instant(value: Moment | None) -> bool:
    """Whether a moment is given more exactly than as a day."""
    if value is None:
        return False
    moment = _parse(value, "time") if isinstance(value, str) else value
    return isinstance(moment, dt.datetime) or not isinstance(moment, dt.date)


def _parse(text: str, what: str) -> dt.datetime | dt.date | float:
    try:
        return dt.date.fromisoformat(text) if len(text) <= 10 else dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise GalleryRequestError(
            f"{what}: {text!r} is not ISO 8601 (2026-05-01 or 2026-05-01T12:00:00+00:00)"
        ) from None


def show_time(seconds: float | None) -> str:
    """Seconds for people: a UTC date and time where they look like one (from 1990 on), else a number."""
    if seconds is None or math.isnan(seconds):
        return "-"
    if FIRST_DATE <= seconds < END_OF_DATES:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{seconds:g}"


def iso_time(seconds: float | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond, where seconds are a date; else None."""
    if seconds is None or not FIRST_DATE <= seconds < END_OF_DATES:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

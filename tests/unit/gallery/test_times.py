"""Moments as text: ISO 8601, else seconds."""

import datetime as dt

import pytest

from passerby.errors import GalleryRequestError
from passerby.gallery.times import is_instant, to_seconds


@pytest.mark.parametrize(
    ("moment", "seconds", "instant"),
    [
        (12.5, 12.5, True),
        ("12.5", 12.5, True),
        ("2026-05-01", 1777593600.0, False),
        ("20260501", 1777593600.0, False),
        ("2026-05-01T10:00:00Z", 1777629600.0, True),
        (dt.date(2026, 5, 1), 1777593600.0, False),
    ],
)
def test_moments(moment: object, seconds: float, instant: bool) -> None:
    assert to_seconds(moment, what="time") == seconds  # type: ignore[arg-type]
    assert is_instant(moment) is instant  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["noon", "nan", "inf", "2026-05-01T10:00:00"])
def test_no_moment(text: str) -> None:
    with pytest.raises(GalleryRequestError, match="time: "):
        to_seconds(text, what="time")

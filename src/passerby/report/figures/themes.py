"""Colours of the figures, for light and for dark pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours of one drawing; text and lines keep a contrast of at least 4.5 to 1 on the page behind them.

    Attributes:
        ink: text and axes.
        muted: tick labels and notes.
        grid: grid lines, and cells without a value.
        page: what lies behind the figure (the figure itself is transparent).
        same: pairs of one person.
        different: pairs of two people.
        accent: a threshold or an operating point.
        series: further lines and groups, distinguished by line style and marker as well.
    """

    ink: str
    muted: str
    grid: str
    page: str
    same: str
    different: str
    accent: str
    series: tuple[str, ...]


LIGHT = Theme(
    ink="#18212f",
    muted="#515d6e",
    grid="#dde3ea",
    page="#ffffff",
    same="#1f5fc4",
    different="#b4500b",
    accent="#a3195b",
    series=("#1f5fc4", "#b4500b", "#0b7a5c", "#8a3fb5", "#a3195b", "#5c6b00", "#0f7490", "#7a4a2b"),
)
DARK = Theme(
    ink="#e9edf3",
    muted="#a5b0bf",
    grid="#313b49",
    page="#161c25",
    same="#78adff",
    different="#ffa45c",
    accent="#ff8fc0",
    series=("#78adff", "#ffa45c", "#4fd1a5", "#cf9bff", "#ff8fc0", "#cdd84a", "#5fd0ec", "#dcae8c"),
)

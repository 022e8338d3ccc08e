"""What all figures share: axes, lines, legends and notes in the colours of a theme."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from passerby.report.figures.themes import Theme

_LINES = ("-", "--", "-.", ":")
_LONGEST_NAME = 60  # characters


def empty_axes(
    theme: Theme, x_label: str, y_label: str, *, height: float = 3.4, width: float = 4.8
) -> tuple[Figure, Axes]:
    """An empty figure, by default as wide as a phone at a legible size: 10 points of text on 4.8 inches."""
    figure = Figure(figsize=(width, height), facecolor="none", layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label, color=theme.ink, fontsize=10)
    axes.set_ylabel(y_label, color=theme.ink, fontsize=10)
    axes.tick_params(which="both", colors=theme.muted, labelsize=9)
    axes.set_facecolor("none")
    axes.grid(visible=True, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for name, side in axes.spines.items():
        side.set_visible(name in ("left", "bottom"))
        side.set_color(theme.muted)
    return figure, axes


def draw_line(
    axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, name: str, number: int, theme: Theme, *, marker: str = ""
) -> None:
    """One line, distinguished from the others by its colour and by its dashes."""
    color, dashes = theme.series[number % len(theme.series)], _LINES[number % len(_LINES)]
    axes.plot(x, y, color=color, linestyle=dashes, linewidth=2.0, marker=marker, markersize=4, label=printable(name))


def draw_threshold(axes: Axes, threshold: float | None, theme: Theme) -> None:
    """A vertical line at a finite threshold."""
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(threshold, color=theme.accent, linewidth=1.8, linestyle=":", label=f"threshold {threshold:.3f}")


def draw_legend(axes: Axes, theme: Theme, *, loc: Literal["best", "lower left", "lower right"]) -> None:
    """A legend of the lines that have a name, if any."""
    labels = [label for label in axes.get_legend_handles_labels()[1] if label]
    if not labels:
        return
    legend = axes.legend(loc=loc, fontsize=9, labelcolor=theme.ink, framealpha=0.8, facecolor=theme.page)
    legend.get_frame().set_linewidth(0)
    for text in legend.get_texts():
        text.set_parse_math(False)


def draw_note(axes: Axes, text: str, place: tuple[float, float], theme: Theme) -> None:
    """A value beside its point: above and to the left, where a rising curve is not."""
    first = place[0] <= axes.get_xlim()[0] * 1.05
    label = axes.annotate(
        text,
        place,
        xytext=(5 if first else -5, 7 if place[1] < 0.9 else -14),
        textcoords="offset points",
        color=theme.accent,
        fontsize=9,
        ha="left" if first else "right",
    )
    label.set_bbox({"facecolor": theme.page, "edgecolor": "none", "boxstyle": "round,pad=0.1", "alpha": 0.7})


def draw_reason(figure: Figure, axes: Axes, theme: Theme, reason: str) -> Figure:
    """A sentence instead of a drawing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=theme.muted, fontsize=10)
    return figure


def log_rates(axes: Axes, smallest: float) -> None:
    """A logarithmic axis of shares, written in percent (1 %, 0.1 %, ...)."""
    axes.set_xscale("log")
    axes.set_xlim(max(1e-6, min(smallest, 0.1)), 1.0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def share_axis(axes: Axes) -> None:
    """A vertical axis of shares from 0 to 1, written in percent."""
    axes.set_ylim(0.0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def unit_square(axes: Axes) -> None:
    """Shares from 0 to 1 on both axes, written in percent."""
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    share_axis(axes)


def printable(name: str) -> str:
    """A name as a figure can show it: in its font, with no leading '_' that hides a line, no '$' that begins a formula.

    Args:
        name: of a recipe, a camera, a film.
    """
    plain = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in name).replace("$", r"\$")
    if len(plain) > _LONGEST_NAME:  # there must be room for the drawing beside it
        plain = plain[: _LONGEST_NAME - 3].rstrip("\\") + "..."
    return f" {plain}" if plain.startswith("_") else plain

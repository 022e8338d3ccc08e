"""Figures of the evidence: plain arrays in, a matplotlib `Figure` out.

Only matplotlib's object interface is used: no pyplot, no global state, so figures may be drawn in several threads.
Every function takes a `Theme`; a page shows the `LIGHT` or the `DARK` drawing, as its reader's system asks.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

Curve: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike]

MARKERS = "osD^vP*X<>hp"
_LINES = ("-", "--", "-.", ":")


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
        series: further lines and groups, told apart by line style and marker as well.
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


def cmc_curves(curves: Mapping[str, npt.ArrayLike], *, theme: Theme = LIGHT) -> Figure:
    """Cumulative matching characteristic: share of queries with a match within the first k ranks.

    Args:
        curves: per name, [K] fractions; entry 0 is rank-1.
        theme: colours.
    """
    figure, axes = _axes(theme, "rank k", "queries with a match within k")
    lowest, longest = 1.0, 1
    for number, (name, values) in enumerate(curves.items()):
        cmc = np.asarray(values, dtype=np.float64)
        lowest, longest = min(lowest, float(cmc.min(initial=1.0))), max(longest, len(cmc))
        _line(axes, np.arange(1, len(cmc) + 1), cmc, name, number, theme, marker="o" if len(cmc) <= 20 else "")
    axes.set_ylim(max(0.0, np.floor(lowest * 10 - 0.5) / 10), 1.01)
    axes.set_xticks(_rank_ticks(longest))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    _legend(axes, theme, loc="lower right")
    return figure


def precision_recall(curves: Mapping[str, Curve], *, theme: Theme = LIGHT) -> Figure:
    """Precision against recall, both fractions, one (recall, precision) pair of arrays per name."""
    figure, axes = _axes(theme, "recall", "precision")
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        _line(axes, recall, precision, name, number, theme)
    _unit_square(axes)
    _legend(axes, theme, loc="lower left")
    return figure


def roc_curve(false_rate: npt.ArrayLike, true_rate: npt.ArrayLike, *, theme: Theme = LIGHT) -> Figure:
    """Verification of pairs: share of same-person pairs accepted against that of different-person pairs.

    Args:
        false_rate: [n] fractions, ascending; drawn on a logarithmic axis, so zeros are left out.
        true_rate: [n] fractions.
        theme: colours.
    """
    figure, axes = _axes(theme, "different people accepted (FPR)", "same person accepted (TPR)")
    false, true = np.asarray(false_rate, dtype=np.float64), np.asarray(true_rate, dtype=np.float64)
    drawn = false > 0
    if not drawn.any():
        return _nothing(figure, axes, theme, "no pair of two people to compare with")
    _line(axes, false[drawn], true[drawn], "", 0, theme)
    _log_rates(axes, float(false[drawn].min()))
    axes.set_ylim(0.0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for level in (1e-4, 1e-3, 1e-2):
        if false[drawn].min() <= level:
            value = float(np.interp(level, false, true))
            axes.plot([level], [value], "o", color=theme.accent, markersize=5)
            _note(axes, f"{value:.1%}", (level, value), theme)
    return figure


def dir_far_curve(
    far: npt.ArrayLike,
    rates: Mapping[str, npt.ArrayLike],
    *,
    points: Sequence[tuple[float, float]] = (),
    theme: Theme = LIGHT,
) -> Figure:
    """Open-set identification: detection and identification rate against false alarms.

    Args:
        far: [n] share of impostors accepted, ascending.
        rates: per name ("rank 1"), [n] share of enrolled people detected and named.
        points: (far, rate) of operating points to mark.
        theme: colours.
    """
    figure, axes = _axes(theme, "strangers accepted (FAR)", "known people named (DIR)")
    alarms = np.asarray(far, dtype=np.float64)
    drawn = np.isfinite(alarms) & (alarms > 0)
    if not drawn.any():
        return _nothing(figure, axes, theme, "no stranger among the probes: FAR is undefined")
    for number, (name, values) in enumerate(rates.items()):
        _line(axes, alarms[drawn], np.asarray(values, dtype=np.float64)[drawn], name, number, theme)
    _log_rates(axes, float(alarms[drawn].min()))
    axes.set_ylim(0.0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for x, y in points:
        if np.isfinite(x) and x > 0:
            axes.plot([x], [y], "o", color=theme.accent, markersize=5)
            _note(axes, f"{y:.1%}", (x, y), theme)
    _legend(axes, theme, loc="lower right")
    return figure


def threshold_curves(
    thresholds: npt.ArrayLike,
    rates: Mapping[str, npt.ArrayLike],
    *,
    threshold: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Rates against the distance below which a match is accepted.

    Args:
        thresholds: [n] distances, ascending; infinite ones are left out.
        rates: per name, [n] fractions.
        threshold: drawn as a line.
        theme: colours.
    """
    figure, axes = _axes(theme, "accepted below this distance", "share of probes")
    places = np.asarray(thresholds, dtype=np.float64)
    drawn = np.isfinite(places)
    if not drawn.any():
        return _nothing(figure, axes, theme, "no stranger among the probes")
    for number, (name, values) in enumerate(rates.items()):
        _line(axes, places[drawn], np.asarray(values, dtype=np.float64)[drawn], name, number, theme)
    _threshold_line(axes, threshold, theme)
    axes.set_ylim(0.0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _legend(axes, theme, loc="best")
    return figure


def distance_histogram(
    edges: npt.ArrayLike,
    same: npt.ArrayLike,
    different: npt.ArrayLike,
    *,
    threshold: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Distances of pairs of one person and of two people, each scaled to an area of 1.

    Args:
        edges: [n + 1] bin edges.
        same: [n] numbers of pairs of one person.
        different: [n] numbers of pairs of two people.
        threshold: drawn as a line; pairs left of it are accepted.
        theme: colours.
    """
    figure, axes = _axes(theme, "distance", "density")
    bounds = np.asarray(edges, dtype=np.float64)
    groups = ((same, "same person", theme.same, "-"), (different, "different people", theme.different, "--"))
    for counts, name, color, line in groups:
        values = np.asarray(counts, dtype=np.float64)
        if values.sum() > 0:
            density = values / values.sum() / np.diff(bounds)
            axes.stairs(density, bounds, fill=True, color=color, alpha=0.28)
            axes.stairs(density, bounds, color=color, linewidth=1.8, linestyle=line, label=name)
    _threshold_line(axes, threshold, theme)
    axes.set_ylim(bottom=0.0)
    axes.set_yticks([])
    axes.margins(y=0.25)
    _legend(axes, theme, loc="best")
    return figure


def camera_matrix(
    values: npt.ArrayLike, query_cameras: Sequence[int], gallery_cameras: Sequence[int], *, theme: Theme = LIGHT
) -> Figure:
    """Heat map of a fraction for every pair of query camera (rows) and gallery camera (columns).

    Args:
        values: [q, g] fractions; NaN where the pair has no valid query, drawn as an empty cell.
        query_cameras: names of the rows.
        gallery_cameras: names of the columns.
        theme: colours.
    """
    matrix = np.asarray(values, dtype=np.float64)
    rows, columns = matrix.shape
    figure, axes = _axes(theme, "gallery camera", "query camera", height=max(2.6, min(4.6, 1.2 + 0.42 * rows)))
    axes.grid(visible=False)
    scale = LinearSegmentedColormap.from_list("passerby", [theme.page, theme.same])
    axes.set_facecolor(theme.grid)  # empty cells are not drawn
    axes.pcolormesh(np.ma.masked_invalid(matrix), cmap=scale, vmin=0.0, vmax=1.0, edgecolors=theme.page, linewidth=1.5)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(columns) + 0.5, [str(c) for c in gallery_cameras])
    axes.set_yticks(np.arange(rows) + 0.5, [str(c) for c in query_cameras])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if max(rows, columns) <= 12:
        size = 10 if max(rows, columns) <= 8 else 7.5
        for row, column in np.ndindex(rows, columns):
            value = matrix[row, column]
            empty = not np.isfinite(value)
            color = theme.muted if empty else (theme.page if value > 0.55 else theme.ink)
            text = "–" if empty else f"{100 * value:.0f}"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=color, fontsize=size)
    return figure


def identity_map(
    points: npt.ArrayLike, pids: npt.ArrayLike, camids: npt.ArrayLike | None = None, *, theme: Theme = LIGHT
) -> Figure:
    """Images as points of a plane; each identity has a colour and is named at its centre, each camera has a marker.

    Args:
        points: [n, 2] positions.
        pids: [n] identities.
        camids: [n] cameras; None, or more cameras than there are markers: one marker for all.
        theme: colours.
    """
    figure, axes = _axes(theme, "", "", height=4.6)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    for side in axes.spines.values():
        side.set_visible(False)
    places, owners = np.asarray(points, dtype=np.float64), np.asarray(pids)
    cameras = np.zeros(len(owners), dtype=np.int64) if camids is None else np.asarray(camids)
    seen = np.unique(cameras)
    marked = 1 < len(seen) <= len(MARKERS)
    for number, pid in enumerate(np.unique(owners)):
        color = theme.series[number % len(theme.series)]
        for marker, camera in zip(MARKERS, seen, strict=False) if marked else ((MARKERS[0], None),):
            own = places[(owners == pid) & ((cameras == camera) if marked else True)]
            axes.scatter(own[:, 0], own[:, 1], s=26, marker=marker, color=color, alpha=0.85, linewidths=0)
        x, y = np.median(places[owners == pid], axis=0)
        label = axes.text(x, y, str(pid), color=theme.ink, fontsize=9, ha="center", va="center", fontweight="bold")
        label.set_bbox({"facecolor": theme.page, "edgecolor": color, "boxstyle": "round,pad=0.2", "alpha": 0.85})
    if marked:
        for marker, camera in zip(MARKERS, seen, strict=False):
            axes.scatter([], [], s=26, marker=marker, color=theme.muted, linewidths=0, label=f"camera {camera}")
        figure.legend(
            loc="outside lower center", ncols=min(len(seen), 4), fontsize=9, labelcolor=theme.ink, frameon=False
        )
    return figure


def training_curves(
    series: Mapping[str, Curve], *, x_label: str, y_label: str, log: bool = False, theme: Theme = LIGHT
) -> Figure:
    """Quantities over a training run, one (x, y) pair of arrays per name; values that are not finite are left out.

    Args:
        series: per name, (x [n], y [n]).
        x_label: what x counts ("epoch").
        y_label: what y measures ("loss").
        log: logarithmic y axis, used only where every value is positive.
        theme: colours.
    """
    figure, axes = _axes(theme, x_label, y_label)
    positive = log
    for number, (name, (x, y)) in enumerate(series.items()):
        places, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        finite = np.isfinite(values)
        positive = positive and bool((values[finite] > 0).all())
        marker = "o" if finite.sum() <= 20 else ""
        _line(axes, places[finite], values[finite], name, number, theme, marker=marker)
    if positive:
        axes.set_yscale("log")
    axes.margins(y=0.08)
    _legend(axes, theme, loc="best")
    return figure


def to_svg(figure: Figure) -> str:
    """The figure as a data URI of an SVG; the same figure gives the same text."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    # matplotlib draws random ids; numbered ones make equal figures equal files
    for number, found in enumerate(dict.fromkeys(re.findall(r'id="([a-z][0-9a-f]{10})"', text))):
        text = text.replace(found, f"i{number}")
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def to_png(figure: Figure, *, dpi: int = 160) -> str:
    """The figure as a data URI of a PNG with a transparent background."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _axes(theme: Theme, x_label: str, y_label: str, *, height: float = 3.4) -> tuple[Figure, Axes]:
    """An empty figure as wide as a phone at a legible size: 10 points of text on 4.8 inches."""
    figure = Figure(figsize=(4.8, height), facecolor="none", layout="constrained")
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


def _line(
    axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, name: str, number: int, theme: Theme, *, marker: str = ""
) -> None:
    """One line, told apart from the others by its colour and by its dashes."""
    color, dashes = theme.series[number % len(theme.series)], _LINES[number % len(_LINES)]
    axes.plot(x, y, color=color, linestyle=dashes, linewidth=2.0, marker=marker, markersize=4, label=_printable(name))


def _threshold_line(axes: Axes, threshold: float | None, theme: Theme) -> None:
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(threshold, color=theme.accent, linewidth=1.8, linestyle=":", label=f"threshold {threshold:.3f}")


def _legend(axes: Axes, theme: Theme, *, loc: Literal["best", "lower left", "lower right"]) -> None:
    labels = [label for label in axes.get_legend_handles_labels()[1] if label]
    if not labels:
        return
    legend = axes.legend(loc=loc, fontsize=9, labelcolor=theme.ink, framealpha=0.8, facecolor=theme.page)
    legend.get_frame().set_linewidth(0)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _note(axes: Axes, text: str, place: tuple[float, float], theme: Theme) -> None:
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


def _nothing(figure: Figure, axes: Axes, theme: Theme, reason: str) -> Figure:
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=theme.muted, fontsize=10)
    return figure


def _log_rates(axes: Axes, smallest: float) -> None:
    """A logarithmic axis of shares, written in percent (1 %, 0.1 %, ...)."""
    axes.set_xscale("log")
    axes.set_xlim(max(1e-6, min(smallest, 0.1)), 1.0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _rank_ticks(longest: int) -> list[int]:
    """1, 5 and tens for a curve of 50 ranks; every rank where there are few."""
    if longest <= 10:
        return list(range(1, longest + 1))
    step = max(5, 5 * round(longest / 25))
    return [1, *([5] if step > 5 else []), *range(step, longest + 1, step)]


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _printable(name: str) -> str:
    """Names come from recipes: what the drawn font may lack becomes '?', and a leading '_' no longer hides a line."""
    plain = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in name)
    return f" {plain}" if plain.startswith("_") else plain

"""Curves: scores over ranks, rates over thresholds, quantities over a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from passerby.report.figures.drawing import (
    draw_legend,
    draw_line,
    draw_note,
    draw_reason,
    draw_threshold,
    empty_axes,
    log_rates,
    share_axis,
    unit_square,
)
from passerby.report.figures.themes import LIGHT, Theme

Curve: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike]


def cmc_curves(curves: Mapping[str, npt.ArrayLike], *, theme: Theme = LIGHT) -> Figure:
    """Cumulative matching characteristic: share of queries with a match within the first k ranks.

    Args:
        curves: per name, [K] fractions; entry 0 is rank-1.
        theme: colours.
    """
    figure, axes = empty_axes(theme, "rank k", "queries with a match within k")
    lowest, longest = 1.0, 1
    for number, (name, values) in enumerate(curves.items()):
        cmc = np.asarray(values, dtype=np.float64)
        lowest, longest = min(lowest, float(cmc.min(initial=1.0))), max(longest, len(cmc))
        draw_line(axes, np.arange(1, len(cmc) + 1), cmc, name, number, theme, marker="o" if len(cmc) <= 20 else "")
    axes.set_ylim(max(0.0, np.floor(lowest * 10 - 0.5) / 10), 1.01)
    axes.set_xticks(_rank_ticks(longest))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    draw_legend(axes, theme, loc="lower right")
    return figure


def precision_recall(curves: Mapping[str, Curve], *, theme: Theme = LIGHT) -> Figure:
    """Precision against recall, both fractions, one (recall, precision) pair of arrays per name."""
    figure, axes = empty_axes(theme, "recall", "precision")
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        draw_line(axes, recall, precision, name, number, theme)
    unit_square(axes)
    draw_legend(axes, theme, loc="lower left")
    return figure


def roc_curve(false_rate: npt.ArrayLike, true_rate: npt.ArrayLike, *, theme: Theme = LIGHT) -> Figure:
    """Verification of pairs: share of same-person pairs accepted against that of different-person pairs.

    Args:
        false_rate: [n] fractions, ascending; drawn on a logarithmic axis, so zeros are left out.
        true_rate: [n] fractions.
        theme: colours.
    """
    figure, axes = empty_axes(theme, "different people accepted (FPR)", "same person accepted (TPR)")
    false, true = np.asarray(false_rate, dtype=np.float64), np.asarray(true_rate, dtype=np.float64)
    drawn = false > 0
    if not drawn.any():
        return draw_reason(figure, axes, theme, "no pair of two people to compare with")
    draw_line(axes, false[drawn], true[drawn], "", 0, theme)
    log_rates(axes, float(false[drawn].min()))
    share_axis(axes)
    for level in (1e-4, 1e-3, 1e-2):
        if false[drawn].min() <= level:
            value = float(np.interp(level, false, true))
            axes.plot([level], [value], "o", color=theme.accent, markersize=5)
            draw_note(axes, f"{value:.1%}", (level, value), theme)
    return figure


def dir_far_curve(
    far: npt.ArrayLike,
    rates: Mapping[str, npt.ArrayLike],
    *,
    points: Sequence[tuple[float, float]] = (),
    theme: Theme = LIGHT,
) -> Figure:
    """Open-set identification: detection and identification rate against false accepts.

    Args:
        far: [n] share of impostors accepted, ascending.
        rates: per name ("rank 1"), [n] share of enrolled people recognised.
        points: (far, rate) of operating points to mark.
        theme: colours.
    """
    figure, axes = empty_axes(theme, "impostors accepted (FAR)", "enrolled people recognised (DIR)")
    accepted = np.asarray(far, dtype=np.float64)
    drawn = np.isfinite(accepted) & (accepted > 0)
    if not drawn.any():
        return draw_reason(figure, axes, theme, "no impostor among the probes: FAR is undefined")
    for number, (name, values) in enumerate(rates.items()):
        draw_line(axes, accepted[drawn], np.asarray(values, dtype=np.float64)[drawn], name, number, theme)
    log_rates(axes, float(accepted[drawn].min()))
    share_axis(axes)
    for x, y in points:
        if np.isfinite(x) and x > 0:
            axes.plot([x], [y], "o", color=theme.accent, markersize=5)
            draw_note(axes, f"{y:.1%}", (x, y), theme)
    draw_legend(axes, theme, loc="lower right")
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
    figure, axes = empty_axes(theme, "accepted below this distance", "share of probes")
    places = np.asarray(thresholds, dtype=np.float64)
    drawn = np.isfinite(places)
    if not drawn.any():
        return draw_reason(figure, axes, theme, "no impostor among the probes")
    for number, (name, values) in enumerate(rates.items()):
        draw_line(axes, places[drawn], np.asarray(values, dtype=np.float64)[drawn], name, number, theme)
    draw_threshold(axes, threshold, theme)
    share_axis(axes)
    draw_legend(axes, theme, loc="best")
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
    figure, axes = empty_axes(theme, x_label, y_label)
    positive = log
    for number, (name, (x, y)) in enumerate(series.items()):
        places, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        finite = np.isfinite(values)
        positive = positive and bool((values[finite] > 0).all())
        marker = "o" if finite.sum() <= 20 else ""
        draw_line(axes, places[finite], values[finite], name, number, theme, marker=marker)
    if positive:
        axes.set_yscale("log")
    axes.margins(y=0.08)
    draw_legend(axes, theme, loc="best")
    return figure


def _rank_ticks(longest: int) -> list[int]:
    """1, 5 and tens for a curve of 50 ranks; every rank where there are few."""
    if longest <= 10:
        return list(range(1, longest + 1))
    step = max(5, 5 * round(longest / 25))
    return [1, *([5] if step > 5 else []), *range(step, longest + 1, step)]

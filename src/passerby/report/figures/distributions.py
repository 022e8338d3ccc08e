"""Distances of pairs, scores of camera pairs, and images on a plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from passerby.report.figures.drawing import (
    draw_legend,
    draw_threshold,
    empty_axes,
)
from passerby.report.figures.themes import LIGHT, Theme

MARKERS = "osD^vP*X<>hp"


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
    figure, axes = empty_axes(theme, "distance", "density")
    bounds = np.asarray(edges, dtype=np.float64)
    groups = ((same, "same person", theme.same, "-"), (different, "different people", theme.different, "--"))
    for counts, name, color, line in groups:
        values = np.asarray(counts, dtype=np.float64)
        if values.sum() > 0:
            density = values / values.sum() / np.diff(bounds)
            axes.stairs(density, bounds, fill=True, color=color, alpha=0.28)
            axes.stairs(density, bounds, color=color, linewidth=1.8, linestyle=line, label=name)
    draw_threshold(axes, threshold, theme)
    axes.set_ylim(bottom=0.0)
    axes.set_yticks([])
    axes.margins(y=0.25)
    draw_legend(axes, theme, loc="best")
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
    figure, axes = empty_axes(theme, "gallery camera", "query camera", height=max(2.6, min(4.6, 1.2 + 0.42 * rows)))
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
    figure, axes = empty_axes(theme, "", "", height=4.6)
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

"""Distances of pairs, scores of camera pairs, and images on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
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
    points: npt.ArrayLike,
    pids: npt.ArrayLike,
    camids: npt.ArrayLike | None = None,
    *,
    width: float = 4.8,
    theme: Theme = LIGHT,
) -> Figure:
    """Images as points of a plane; each identity has a colour and is named beside it, each camera has a marker.

    Args:
        points: [n, 2] positions.
        pids: [n] identities.
        camids: [n] cameras; None, or more cameras than there are markers: one marker for all.
        width: of the figure, inches.
        theme: colours.
    """
    figure, axes = empty_axes(theme, "", "", height=4.6, width=width)
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
    _names_beside(axes, places, owners, theme)
    if marked:
        for marker, camera in zip(MARKERS, seen, strict=False):
            axes.scatter([], [], s=26, marker=marker, color=theme.muted, linewidths=0, label=f"camera {camera}")
        figure.legend(
            loc="outside lower center", ncols=min(len(seen), 4), fontsize=9, labelcolor=theme.ink, frameon=False
        )
    return figure


def _names_beside(axes: Axes, places: npt.NDArray[np.float64], owners: npt.NDArray[Any], theme: Theme) -> None:
    """The name of every identity left or right of the points, with a line to its most central image."""
    people = np.unique(owners)
    centres = np.array([_most_central(places[owners == pid]) for pid in people])
    order = np.argsort(centres[:, 0], kind="stable")
    for side, chosen in ((-0.02, order[: len(order) // 2]), (1.02, order[len(order) // 2 :])):
        heights = np.linspace(0.98, 0.02, len(chosen)) if len(chosen) > 1 else np.full(len(chosen), 0.5)
        by_height = chosen[np.argsort(-centres[chosen, 1], kind="stable")]
        for number, height in zip(by_height.tolist(), heights, strict=True):
            color = theme.series[number % len(theme.series)]
            label = axes.annotate(
                str(people[number]),
                tuple(centres[number]),
                xytext=(side, height),
                textcoords="axes fraction",
                color=theme.ink,
                fontsize=9,
                fontweight="bold",
                ha="right" if side < 0 else "left",
                va="center",
                arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.9, "alpha": 0.8, "shrinkB": 2},
            )
            label.set_bbox({"facecolor": theme.page, "edgecolor": color, "boxstyle": "round,pad=0.2"})


def _most_central(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The point with the smallest sum of distances to the others."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest: npt.NDArray[np.float64] = places[int(distances.sum(axis=1).argmin())]
    return nearest

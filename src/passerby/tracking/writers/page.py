"""The HTML report of a tracking: a timeline, and thumbnails of every person under every camera."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
from matplotlib.figure import Figure

from passerby.embedding.tracklet import Tracklet
from passerby.report.figures import Theme
from passerby.report.figures.drawing import printable
from passerby.report.html_page import Picture, Plot, Section, Strip, Table, Tile, render_page, write_page
from passerby.report.sections.provenance import RESPONSIBLE_USE
from passerby.tracking.result import TrackingResult
from passerby.version import __version__

_MOST_SHOWN = 60  # people in the timeline and the strips; the tables have all
_THUMBNAILS = 6  # of one person under one camera


def write_report_page(path: Path, result: TrackingResult) -> None:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    undecided = int((~result.decided).sum())
    tiles = [
        Tile("people", f"{result.people:,}", _under_cameras(result)),
        Tile("tracklets", f"{len(result.tracklets):,}", f"{undecided:,} not good enough to say"),
        Tile("boxes", f"{sum(int((~film.rows.filled).sum()) for film in result.films):,}", "detected and followed"),
    ]
    sections = [_timeline(result), _people(result), *_strips(result), _films(result), RESPONSIBLE_USE]
    html = render_page(
        "People in films",
        ", ".join(film.name for film in result.films),
        tiles,
        sections,
        notes=result.notes,
        footer=f"passerby {__version__}, encoder {result.fingerprint}",
    )
    write_page(path, html)


def _under_cameras(result: TrackingResult) -> str:
    count = len(result.cameras)
    words = f"under {count} camera(s)"
    if count < 2:
        return words
    return f"{words}; {result.people_seen_by(count):,} seen by {'both' if count == 2 else 'all of them'}"


def _shown(result: TrackingResult) -> list[int]:
    """Identities with a verdict, those in sight longest first, back in the order of their numbers."""
    seconds = {
        int(identity): sum(t.end - t.start for t in _own(result, int(identity)))
        for identity in np.unique(result.identities[result.decided])
    }
    return sorted(sorted(seconds, key=lambda identity: -seconds[identity])[:_MOST_SHOWN])


def _own(result: TrackingResult, identity: int) -> list[Tracklet]:
    return [result.tracklets[i] for i in np.flatnonzero(result.identities == identity)]


def _timeline(result: TrackingResult) -> Section:
    shown = _shown(result)
    cameras = list(result.cameras)
    bars = [
        (place, cameras.index(t.camera), t.start, max(t.end - t.start, 0.02))
        for place, identity in enumerate(shown)
        for t in _own(result, identity)
    ]
    alt = "; ".join(
        f"person {identity}: "
        + ", ".join(f"{t.camera} {t.start:.1f} to {t.end:.1f} s" for t in _own(result, identity)[:4])
        for identity in shown[:20]
    )
    plot = Plot(
        partial(_draw_timeline, bars, shown, cameras), alt or "nobody", "One row a person; colours are cameras."
    )
    return Section("Timeline", plots=(plot,))


def _draw_timeline(
    bars: list[tuple[int, int, float, float]], people: list[int], cameras: list[str], *, theme: Theme
) -> Figure:
    figure = Figure(figsize=(9, 1.2 + 0.22 * max(len(people), 1)), layout="constrained")
    axes = figure.subplots()
    for camera, name in enumerate(cameras):
        color = theme.series[camera % len(theme.series)]
        own = [bar for bar in bars if bar[1] == camera]
        height = 0.8 / len(cameras)
        axes.barh(
            [place - 0.4 + (camera + 0.5) * height for place, *_ in own],
            [length for *_, length in own],
            left=[start for _, _, start, _ in own],
            height=height,
            color=color,
            label=printable(name),
        )
    axes.set_yticks(range(len(people)), [str(identity) for identity in people])
    axes.invert_yaxis()
    axes.set_xlabel("seconds", color=theme.ink)
    axes.set_ylabel("person", color=theme.ink)
    axes.tick_params(colors=theme.muted)
    axes.grid(axis="x", color=theme.grid)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    figure.legend(loc="outside upper right", ncols=6, frameon=False, labelcolor=theme.ink)
    return figure


def _people(result: TrackingResult) -> Section:
    rows = []
    for identity in np.unique(result.identities[result.decided]).tolist():
        own = _own(result, identity)
        rows.append(
            (
                str(identity),
                ", ".join(sorted({t.camera for t in own})),
                f"{min(t.start for t in own):.1f}",
                f"{max(t.end for t in own):.1f}",
                f"{len(own):,}",
                f"{sum(len(t) for t in own):,}",
            )
        )
    headers = ("person", "cameras", "first seen, s", "last seen, s", "tracklets", "boxes")
    return Section("People", table=Table(headers, tuple(rows)))


def _strips(result: TrackingResult) -> list[Section]:
    strips = []
    for identity in _shown(result):
        own = _own(result, identity)
        pictures = [
            Picture(
                simplejpeg.decode_jpeg(t.thumbnail, colorspace="RGB"),
                f"person {identity} under camera {t.camera} at {t.start:.1f} s",
                (t.camera, f"{t.start:.1f} s"),
            )
            for camera in sorted({t.camera for t in own})
            for t in sorted((t for t in own if t.camera == camera), key=lambda t: -t.quality)[:_THUMBNAILS]
            if t.thumbnail is not None
        ]
        if pictures:
            strips.append(Strip(f"Person {identity}", None, tuple(pictures)))
    return [Section("Thumbnails", strips=tuple(strips))] if strips else []


def _films(result: TrackingResult) -> Section:
    headers = ("film", "camera", "frames", "boxes", "filled", "identities")
    rows = tuple(
        (
            film.name,
            film.camera,
            f"{film.frames:,}",
            f"{int((~film.rows.filled).sum()):,}",
            f"{int(film.rows.filled.sum()):,}",
            f"{len(np.unique(film.rows.identities)):,}",
        )
        for film in result.films
    )
    notes = tuple(
        f"{film.name}: {text}"
        for film in result.films
        for text in (*(f"{count:,} {reason}" for reason, count in film.skipped.items()), *film.notes)
    )
    return Section("Films", table=Table(headers, rows, words=True), notes=notes)

"""The HTML report of an adaptation: rounds, clusters with pictures, outliers, cameras, and what must be done next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from passerby.adaptation.result import AdaptationResult
from passerby.array_types import Int64
from passerby.data.records import Sample
from passerby.report.html_page import Picture, Section, Strip, Table, Tile, render_page, write_page
from passerby.report.sections.provenance import RESPONSIBLE_USE
from passerby.version import __version__

_CLUSTERS, _PICTURES = 24, 10  # what is shown; the numbers are of all
NEXT = (
    "This is another encoder: vectors of the one to begin with cannot be compared with its own. A gallery must be "
    "filled again from the images that were enrolled; the thumbnails that a gallery may hold are too small for that.",
    "Thresholds belong to an encoder: calibrate again (`passerby calibrate`), and let galleries calibrate themselves.",
)


def write_adaptation_report(result: AdaptationResult, crops: Sequence[Sample], *, notes: Sequence[str] = ()) -> Path:
    """Write report.html into the adaptation's folder.

    Args:
        result: of `adapt`.
        crops: those it was given.
        notes: shown at the top.

    Returns:
        The file.

    Raises:
        StorageError: it cannot be written.
    """
    kept = result.rounds[result.best]
    labels = result.clusters()
    tiles = [
        Tile("crops", f"{result.crops:,}", f"{len({s.camid for s in crops if s.camid >= 0})} cameras"),
        Tile("people found", f"{kept.clusters:,}", f"{kept.outliers / result.crops:.1%} outliers"),
        Tile("kept", f"round {result.best}" if result.best else "unchanged", f"score {kept.score:.3f}"),
    ]
    sections = [_rounds(result), _next(result), _cameras(result), _clusters(labels, crops), _outliers(labels, crops)]
    html = render_page(
        "A place without labels",
        f"encoder {kept.fingerprint}",
        tiles,
        [*(section for section in sections if section is not None), RESPONSIBLE_USE],
        notes=notes,
        footer=f"passerby {__version__}",
    )
    return write_page(result.folder / "report.html", html)


def _rounds(result: AdaptationResult) -> Section:
    headers = ("round", "clusters", "outliers", "cannot-links broken", "agreement", "score", "minutes")
    rows = tuple(
        (
            f"{r.number}{' (kept)' if r.number == result.best else ''}",
            f"{r.clusters:,}",
            f"{r.outliers / result.crops:.1%}",
            f"{r.broken:,}",
            f"{r.agreement:.3f}",
            f"{r.score:.3f}",
            f"{r.seconds / 60:.1f}",
        )
        for r in result.rounds
    )
    text = (
        "Round 0 is the encoder to begin with. Agreement is the adjusted Rand index of two clusterings of crops that "
        "never train, each by another half of the vector's dimensions; score is agreement less the share of broken "
        "cannot-links. No label takes part: the score tells which encoder is more consistent at this place, not how "
        "often it is right."
    )
    return Section("Rounds", text=(text,), table=Table(headers, rows))


def _next(result: AdaptationResult) -> Section:
    unchanged = "No round was better by the criterion: the encoder is the one to begin with, and galleries stay."
    return Section("What must be done now", text=NEXT if result.best else (unchanged,))


def _cameras(result: AdaptationResult) -> Section | None:
    if result.statistics is None:
        return None
    rows = tuple(
        (str(c["camera"]), f"{c[result.statistics.counted]:,}", f"{c['weight']:.2f}")
        for c in result.statistics.to_dict()["cameras"]
    )
    text = f"{result.statistics}. The weight says how much of a camera's own mean is subtracted."
    return Section("Cameras", text=(text,), table=Table(("camera", "people found", "weight"), rows))


def _clusters(labels: Int64, crops: Sequence[Sample]) -> Section | None:
    sizes = np.bincount(labels[labels >= 0])
    if not len(sizes):
        return None
    largest = np.argsort(-sizes, kind="stable")[: _CLUSTERS // 2]
    others = np.setdiff1d(np.arange(len(sizes)), largest)
    drawn = np.random.default_rng(0).permutation(others)[: _CLUSTERS - len(largest)]
    strips = tuple(
        _strip(f"cluster {label}: {sizes[label]:,} crops", np.flatnonzero(labels == label), crops)
        for label in (*largest.tolist(), *sorted(drawn.tolist()))
    )
    text = "The largest clusters, where several people are mixed most easily, and random others."
    return Section("Clusters", text=(text,), strips=strips)


def _outliers(labels: Int64, crops: Sequence[Sample]) -> Section | None:
    rows = np.flatnonzero(labels < 0)
    if not len(rows):
        return None
    shown = np.sort(np.random.default_rng(0).permutation(rows)[: 2 * _PICTURES])
    return Section(
        "Outliers", text=("Crops in no cluster; they do not train.",), strips=(_strip("random", shown, crops),)
    )


def _strip(title: str, rows: Int64, crops: Sequence[Sample]) -> Strip:
    step = max(1, len(rows) // _PICTURES)
    pictures = tuple(
        Picture(crops[row].path, f"a crop of camera {crops[row].camid}", (f"camera {crops[row].camid}",))
        for row in rows[::step][: 2 * _PICTURES].tolist()
    )
    return Strip(title, None, pictures)

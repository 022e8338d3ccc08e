"""The parts of a report that show numbers: each function turns results into one `Section`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Floating
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.camera_pairs import evaluate_camera_pairs
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.statistics import intervals
from passerby.evaluation.open_set.curves import OpenSetReport
from passerby.evaluation.open_set.thresholds import Threshold
from passerby.report import figures
from passerby.report.evidence import Evidence
from passerby.report.page import Plot, Section, Table, Tile

_SPACE = "\u00a0"  # a number and its sign stay on one line

RESPONSIBLE_USE = Section(
    "Responsible use",
    text=(
        "Images of people and the vectors computed from them are personal data, and vectors that single somebody out "
        "are biometric data. Their use needs a lawful basis, in many places consent, and in some it is forbidden.",
        "A match is a statement about likeness, not about identity. These numbers hold for the images they were "
        "measured on; other cameras, other light and people unlike those of the training data make them worse. No "
        "decision about a person should rest on a match alone.",
    ),
)


def percent(fraction: float) -> str:
    """A fraction as text, with two digits where it is small; "–" where there is none."""
    if not math.isfinite(fraction):
        return "–"
    if 0 < fraction < 1e-6:
        return f"< 0.0001{_SPACE}%"
    digits = max(1, 1 - math.floor(math.log10(100 * fraction))) if 0 < fraction < 0.01 else 1
    return f"{100 * fraction:.{digits}f}{_SPACE}%"


def tiles(
    reports: Mapping[str, Report], open_set: OpenSetReport | None, threshold: Threshold | float | None
) -> list[Tile]:
    """The numbers at the top of the page."""
    (_, first), *others = reports.items()
    found = [
        Tile("mAP", percent(first.mAP), f"{first.queries:,} queries, {first.ap_definition} AP"),
        Tile("rank-1", percent(first.rank(1)), f"gallery of {first.gallery:,}"),
        Tile("mINP", percent(first.mINP)),
    ]
    found += [Tile(f"mAP, {name}", percent(report.mAP), f"rank-1 {percent(report.rank(1))}") for name, report in others]
    if open_set is not None and open_set.points and open_set.impostors:
        # a rate finer than the strangers can show says little
        shown = [point for point in open_set.points if point.target >= open_set.finest_far]
        point = (shown or open_set.points[-1:])[0]
        rank, rate = next(iter(point.dir.items()))
        found.append(Tile("known people named", percent(rate), f"DIR rank-{rank} at FAR {percent(point.far)}"))
    if threshold is not None:
        found.append(Tile("threshold", f"{threshold_value(threshold):.3f}", "accepted below it"))
    return found


def numbers(reports: Mapping[str, Report]) -> Section:
    """The table of results, with everything that was counted or skipped."""
    lines: dict[str, list[str]] = {}
    for report in reports.values():
        cells = {
            **_with_intervals(report),
            "queries": f"{report.queries:,}",
            "queries skipped": f"{report.skipped:,}",
            "gallery images": f"{report.gallery:,}",
            "distractors among them": f"{report.distractors:,}",
            "junk left out": f"{report.junk:,}",
            "queries with a tie at the top": f"{report.tied:,}",
            "protocol": report.protocol,
            "average precision": report.ap_definition,
            "distance": report.metric,
            "re-ranking": "none" if report.rerank is None else _settings(report.rerank),
        }
        if report.repeats is not None:
            cells["random repeats"] = f"{report.repeats:,}"
        for name, spread in report.std.items():
            cells[f"{name}, standard deviation"] = percent(spread)
        for name, cell in cells.items():
            lines.setdefault(name, []).append(cell)
    rows = tuple((name, *cells) for name, cells in lines.items() if len(cells) == len(reports))
    notes = dict.fromkeys(note for report in reports.values() for note in report.notes)
    text = (
        "Intervals are 95 % bootstrap intervals, drawn by identity. Skipped queries have no match to find under the "
        "protocol; the means leave them out.",
    )
    return Section("Numbers", table=Table(("", *reports), rows), text=text, notes=tuple(notes))


def curves(reports: Mapping[str, Report], evidence: Evidence) -> Section:
    """CMC, precision and recall."""
    name, first = next(iter(reports.items()))
    looked_at = _looked_at(evidence)
    ranks = ", ".join(f"rank-{k} {percent(first.rank(k))}" for k in (1, 5, 10))
    cmc = {label: report.cmc for label, report in reports.items()}
    middle = len(evidence.recall) // 2
    return Section(
        "Curves",
        plots=(
            Plot(
                partial(figures.cmc_curves, cmc),
                f"Cumulative matching characteristic of {name}: {ranks}.",
                "A query counts as found at k if one of its first k images is the same person.",
                "Found within the first k",
            ),
            Plot(
                partial(figures.precision_recall, {name: (evidence.recall, evidence.precision)}),
                f"Precision against recall: {percent(float(evidence.precision[middle]))} at half recall.",
                f"Interpolated, mean over {looked_at}, without re-ranking.",
                "Precision and recall",
            ),
        ),
    )


def distances(evidence: Evidence, report: Report, threshold: Threshold | float | None) -> Section:
    """How far apart images of one person and of two people are."""
    edges, same, different = evidence.histogram()
    false, true = evidence.roc()
    value = None if threshold is None else threshold_value(threshold)
    said = ""
    if value is not None:
        accepted = [
            float(counts[evidence.edges[1:] <= value].sum() / max(int(counts.sum()), 1))
            for counts in (evidence.same, evidence.different)
        ]
        said = (
            f"Below the threshold {value:.3f} lie {percent(accepted[0])} of the pairs of one person and "
            f"{percent(accepted[1])} of the pairs of two."
        )
    centres = [_median(evidence.edges, counts) for counts in (evidence.same, evidence.different)]
    alt = f"Histogram of distances: median {centres[0]:.3f} for one person, {centres[1]:.3f} for two people. {said}"
    looked_at = _looked_at(evidence)
    at_levels = ", ".join(
        f"{percent(float(np.interp(level, false, true)))} at {level:g}" for level in (1e-3, 1e-2) if false[-1] > 0
    )
    return Section(
        "Distances",
        text=(said,) if said else (),
        plots=(
            Plot(
                partial(figures.distance_histogram, edges, same, different, threshold=value),
                alt,
                f"{report.metric.capitalize()} distance of {int(evidence.same.sum()):,} pairs of one person and "
                f"{int(evidence.different.sum()):,} of two, from {looked_at}. Each group has an area of 1.",
                "Same person, different people",
            ),
            Plot(
                partial(figures.roc_curve, false, true),
                f"True-positive against false-positive rate of pairs: {at_levels or 'not defined'}.",
                "Do two images show the same person? Every threshold on their distance is a point of the curve.",
                "Verification of pairs (ROC)",
            ),
        ),
        notes=threshold.notes if isinstance(threshold, Threshold) else (),
    )


def open_set(report: OpenSetReport, threshold: Threshold | float | None) -> Section:
    """Known people named, strangers refused."""
    curves = {f"rank {rank}": report.curve(rank) for rank in report.ranks}
    far, named, places = next(iter(curves.values()))
    marks = tuple((p.far, next(iter(p.dir.values()))) for p in report.points)
    rows = tuple(
        (percent(p.target), percent(p.far), f"{p.threshold:.4f}", *(percent(p.dir[r]) for r in report.ranks))
        for p in report.points
    )
    said = "; ".join(f"{percent(rate)} named at FAR {percent(x)}" for x, rate in marks)
    return Section(
        "Strangers",
        text=(
            f"{report.genuine:,} probes of enrolled people and {report.impostors:,} of strangers were searched among "
            f"{report.identities:,} identities; {report.skipped:,} were skipped. The threshold must be chosen on other "
            "people than these: read the curve as what is possible, not as what a fixed threshold gives.",
        ),
        table=Table(("FAR asked for", "reached", "threshold", *(f"DIR rank-{r}" for r in report.ranks)), rows),
        plots=(
            Plot(
                partial(figures.dir_far_curve, far, {name: c[1] for name, c in curves.items()}, points=marks),
                f"Detection and identification rate against false alarms: {said}.",
                "A known person counts if named correctly and nearer than the threshold; a stranger is a false alarm "
                "if anybody is nearer than it.",
                "Known people named, strangers accepted",
            ),
            Plot(
                partial(
                    figures.threshold_curves,
                    places,
                    {"known people named": named, "strangers accepted": far},
                    threshold=None if threshold is None else threshold_value(threshold),
                ),
                "Share of known people named and of strangers accepted, against the threshold.",
                "A larger threshold names more people, and takes more strangers for somebody.",
                "What a threshold does",
            ),
        )
        if report.impostors
        else (),
        notes=report.notes,
    )


def cameras(evidence: Evidence, report: Report, query: Embeddings, gallery: Embeddings) -> Section | None:
    """Which pairs of cameras are hard; None where cameras are unknown or there is only one."""
    if min(len(np.unique(e.camids[e.camids >= 0])) for e in (query, gallery)) < 2:
        return None
    asked = query.select(evidence.rows)
    pairs = evaluate_camera_pairs(
        asked.vectors,
        gallery.vectors,
        asked.pids,
        gallery.pids,
        asked.camids,
        gallery.camids,
        metric=report.metric,
        ap=report.ap_definition,
    )
    if not pairs.queries.any():
        return None
    plots = []
    for values, name in ((pairs.rank1, "Rank-1"), (pairs.mAP, "mAP")):
        row, column = np.unravel_index(np.nanargmin(values), values.shape)
        plots.append(
            Plot(
                partial(figures.camera_matrix, values, pairs.query_cameras.tolist(), pairs.gallery_cameras.tolist()),
                f"{name} by query camera and gallery camera; the lowest is {percent(float(values[row, column]))}, "
                f"query camera {pairs.query_cameras[row]}, gallery camera {pairs.gallery_cameras[column]}.",
                f"In percent, from {_looked_at(evidence)}; a dash where no query has a match.",
                f"{name} by pair of cameras",
            )
        )
    return Section(
        "Cameras",
        text=(
            "Queries of one camera (rows) searched in the gallery images of one camera alone (columns). A query's "
            "own person in its own camera never counts.",
        ),
        plots=tuple(plots),
    )


def training(metrics: Path) -> Section | None:
    """What a run wrote down as it went; None where there is nothing to show."""
    rows = _read_rows(metrics)
    epochs = [row for row in rows if row.get("kind") == "epoch" and isinstance(row.get("losses"), dict)]
    tests = [row for row in rows if row.get("kind") == "evaluation"]
    names = sorted({name for row in epochs for name in row["losses"]}, key=lambda name: (name != "total", name))
    groups = [
        ("Loss", "loss", {name: _series(epochs, lambda row, name=name: row["losses"].get(name)) for name in names}),
        ("Learning rate", "learning rate", {"": _series(epochs, lambda row: row.get("lr"))}),
        (
            "Held-out identities",
            "fraction",
            {label: _series(tests, lambda row, key=key: row.get(key)) for key, label in _HELD_OUT},
        ),
    ]
    plots = []
    for title, unit, series in groups:
        drawn = {name: pair for name, pair in series.items() if len(pair[0])}
        if drawn:
            last = ", ".join(f"{name or unit} {pair[1][-1]:.4g}" for name, pair in drawn.items())
            draw = partial(figures.training_curves, drawn, x_label="epoch", y_label=unit)
            plots.append(Plot(draw, f"{title} over epochs; at the end {last}.", "", title))
    return Section("Training", plots=tuple(plots)) if plots else None


def provenance(entries: Mapping[str, Any], config: str | None) -> Section:
    """Where the numbers come from."""
    rows = tuple((name, _plain(value)) for name, value in entries.items() if value not in (None, "", (), [], {}))
    code = (("Configuration (TOML)", config),) if config else ()
    return Section("Provenance", table=Table(("what", "value"), rows, words=True), code=code)


def _with_intervals(report: Report) -> dict[str, str]:
    spreads = intervals(report, resamples=1000, unit="identity") if math.isfinite(report.mAP) else {}
    values = {"mAP": report.mAP, **{f"rank-{k}": report.rank(k) for k in (1, 5, 10)}, "mINP": report.mINP}
    cells = {}
    for name, value in values.items():
        cells[name] = percent(value)
        if name in spreads:
            cells[f"{name}, interval"] = f"{100 * spreads[name].low:.1f} to {percent(spreads[name].high)}"
    return cells


def threshold_value(threshold: Threshold | float) -> float:
    """The distance below which a match is accepted."""
    return threshold.value if isinstance(threshold, Threshold) else float(threshold)


_HELD_OUT = (("mAP", "mAP"), ("rank1", "rank-1"))


def _looked_at(evidence: Evidence) -> str:
    if len(evidence.rows) < evidence.queries:
        return f"{len(evidence.rows):,} queries drawn from {evidence.queries:,}"
    return f"all {len(evidence.rows):,} queries"


def _median(edges: Floating, counts: np.ndarray[Any, Any]) -> float:
    total = np.cumsum(counts)
    if not total[-1]:
        return math.nan
    return float(edges[int(np.searchsorted(total, total[-1] / 2)) + 1])


def _settings(rerank: Mapping[str, Any]) -> str:
    settings = dict(rerank)
    name = str(settings.pop("method", "yes"))
    return f"{name} ({', '.join(f'{key} {value}' for key, value in settings.items())})" if settings else name


def _read_rows(metrics: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line that a kill cut short is left out."""
    try:
        lines = metrics.read_text("utf-8").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append(row)
    return rows


def _series(rows: Sequence[dict[str, Any]], read: Any) -> tuple[list[float], list[float]]:
    pairs = [(row["epoch"], read(row)) for row in rows]
    pairs = [(x, y) for x, y in pairs if isinstance(y, (int, float))]
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_plain(item) for item in value)
    return str(value)

"""Scores: the numbers at the top, the table of results, curves over ranks, and pairs of cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.camera_pairs import evaluate_camera_pairs
from passerby.evaluation.closed_set.result import Report, unusual_settings
from passerby.evaluation.closed_set.statistics import intervals
from passerby.evaluation.open_set.curves import OpenSetReport
from passerby.evaluation.open_set.thresholds import Threshold
from passerby.report import figures
from passerby.report.camera_names import CameraNames
from passerby.report.figure_data import Evidence
from passerby.report.formatting import percent, plain_text, settings_text
from passerby.report.html_page import Plot, Section, Table, Tile
from passerby.report.sections.distance_pairs import looked_at, rates_below, threshold_value


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
        found.append(_recognised(open_set, threshold))
    if threshold is not None:
        found.append(Tile("threshold", f"{threshold_value(threshold):.3f}", "accepted below it"))
    return found


def _recognised(open_set: OpenSetReport, threshold: Threshold | float | None) -> Tile:
    """Recognised at the calibrated threshold; without one, at the finest rate asked for that can be shown."""
    if threshold is not None:
        far, rate = rates_below(open_set, threshold_value(threshold))
        where = f"{percent(far)} of others accepted, at the calibrated threshold"
        return Tile("enrolled people recognised", percent(rate), where)
    # a rate finer than so many impostors can show means little
    shown = [point for point in open_set.points if point.target >= open_set.finest_far]
    point = (shown or open_set.points[-1:])[0]
    rank, rate = next(iter(point.dir.items()))
    return Tile("enrolled people recognised", percent(rate), f"DIR rank-{rank} at FAR {percent(point.far)}")


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
            "re-ranking": "none" if report.rerank is None else str(report.rerank.get("method", "yes")),
        }
        cells |= {f"setting: {name}": plain_text(value) for name, value in unusual_settings(report.settings).items()}
        if report.repeats is not None:
            cells["random repeats"] = f"{report.repeats:,}"
        for name, spread in report.std.items():
            cells[f"{name}, standard deviation"] = percent(spread)
        for name, cell in cells.items():
            lines.setdefault(name, []).append(cell)
    rows = tuple((name, *cells) for name, cells in lines.items() if len(cells) == len(reports))
    notes = {
        f"{name}: {settings_text(report.rerank)}": None for name, report in reports.items() if report.rerank is not None
    }
    notes |= dict.fromkeys(note for report in reports.values() for note in report.notes)
    text = (
        "Intervals are 95 % bootstrap intervals, drawn by identity. Skipped queries have no match to find under the "
        "protocol; the means leave them out.",
    )
    return Section("Numbers", table=Table(("", *reports), rows), text=text, notes=tuple(notes))


def _with_intervals(report: Report) -> dict[str, str]:
    spreads = intervals(report, resamples=1000, unit="identity") if math.isfinite(report.mAP) else {}
    values = {"mAP": report.mAP, **{f"rank-{k}": report.rank(k) for k in (1, 5, 10)}, "mINP": report.mINP}
    cells = {}
    for name, value in values.items():
        cells[name] = percent(value)
        if name in spreads:
            one = math.isnan(spreads[name].low)
            ends = f"{100 * spreads[name].low:.1f} to {percent(spreads[name].high)}"
            cells[f"{name}, interval"] = "none: one person alone" if one else ends
    return cells


def curves(reports: Mapping[str, Report], evidence: Evidence) -> Section:
    """CMC, precision and recall."""
    name, first = next(iter(reports.items()))
    sample = looked_at(evidence)
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
                f"Interpolated, mean over {sample}, without re-ranking.",
                "Precision and recall",
            ),
        ),
    )


def cameras(
    evidence: Evidence, report: Report, query: Embeddings, gallery: Embeddings, names: CameraNames
) -> Section | None:
    """Which pairs of cameras are hard; None where cameras are unknown or there is only one."""
    if min(len(np.unique(e.camids[e.camids >= 0])) for e in (query, gallery)) < 2:
        return None
    queries = query.select(evidence.rows)
    pairs = evaluate_camera_pairs(
        queries.vectors,
        gallery.vectors,
        queries.pids,
        gallery.pids,
        queries.camids,
        gallery.camids,
        metric=report.metric,
        ap=report.ap_definition,
    )
    if not pairs.queries.any():
        return None
    rows, columns = (
        [names.number(camera) for camera in own.tolist()] for own in (pairs.query_cameras, pairs.gallery_cameras)
    )
    plots = []
    for values, name in ((pairs.rank1, "Rank-1"), (pairs.mAP, "mAP")):
        row, column = np.unravel_index(np.nanargmin(values), values.shape)
        plots.append(
            Plot(
                partial(figures.camera_matrix, values, rows, columns),
                f"{name} by query camera and gallery camera; the lowest is {percent(float(values[row, column]))}, "
                f"query camera {rows[row]}, gallery camera {columns[column]}.",
                f"In percent, from {looked_at(evidence)}; a dash where no query has a match.",
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

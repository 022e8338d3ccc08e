"""Distances of pairs, and what a threshold on them does."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from passerby.array_types import Floating
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.open_set.curves import OpenSetReport
from passerby.evaluation.open_set.thresholds import Threshold
from passerby.report import figures
from passerby.report.figure_data import Evidence
from passerby.report.formatting import percent
from passerby.report.html_page import Plot, Section, Table


def distances(evidence: Evidence, report: Report, threshold: Threshold | float | None) -> Section:
    """How far apart images of one person and of two people are."""
    edges, same, different = evidence.histogram()
    false, true = evidence.roc()
    value = None if threshold is None else threshold_value(threshold)
    note = ""
    if value is not None:
        accepted = [
            float(counts[evidence.edges[1:] <= value].sum() / max(int(counts.sum()), 1))
            for counts in (evidence.same, evidence.different)
        ]
        note = (
            f"Below the threshold {value:.3f} lie {percent(accepted[0])} of the pairs of one person and "
            f"{percent(accepted[1])} of the pairs of two."
        )
    centres = [_median(evidence.edges, counts) for counts in (evidence.same, evidence.different)]
    alt = f"Histogram of distances: median {centres[0]:.3f} for one person, {centres[1]:.3f} for two people. {note}"
    sample = looked_at(evidence)
    at_levels = ", ".join(
        f"{percent(float(np.interp(level, false, true)))} at {level:g}" for level in (1e-3, 1e-2) if false[-1] > 0
    )
    return Section(
        "Distances",
        text=(note,) if note else (),
        plots=(
            Plot(
                partial(figures.distance_histogram, edges, same, different, threshold=value),
                alt,
                f"{report.metric.capitalize()} distance of {int(evidence.same.sum()):,} pairs of one person and "
                f"{int(evidence.different.sum()):,} of two, from {sample}. Each group has an area of 1.",
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
    """Open-set identification: who is enrolled is recognised, and who is not is rejected."""
    curves = {f"rank {rank}": report.curve(rank) for rank in report.ranks}
    far, named, places = next(iter(curves.values()))
    marks = tuple((p.far, next(iter(p.dir.values()))) for p in report.points)
    rows = tuple(
        (percent(p.target), percent(p.far), f"{p.threshold:.4f}", *(percent(p.dir[r]) for r in report.ranks))
        for p in report.points
    )
    if threshold is not None:
        value = threshold_value(threshold)
        reached, rate = rates_below(report, value)
        rows += (("calibrated", percent(reached), f"{value:.4f}", percent(rate), *("–" for _ in report.ranks[1:])),)
    note = "; ".join(f"{percent(rate)} named at FAR {percent(x)}" for x, rate in marks)
    return Section(
        "Open set",
        text=(
            f"{report.genuine:,} probes of enrolled people and {report.impostors:,} of others (impostors) were "
            f"searched among {report.identities:,} identities; {report.skipped:,} were skipped. The threshold must be "
            "chosen on other people than these: read the curve as what is possible, not as what a fixed threshold "
            "gives.",
        ),
        table=Table(("FAR asked for", "reached", "threshold", *(f"DIR rank-{r}" for r in report.ranks)), rows),
        plots=(
            Plot(
                partial(figures.dir_far_curve, far, {name: c[1] for name, c in curves.items()}, points=marks),
                f"Detection and identification rate against false accepts: {note}.",
                "An enrolled person counts if recognised and nearer than the threshold; an impostor is a false accept "
                "if anybody is nearer than it.",
                "Enrolled people recognised, impostors accepted",
            ),
            Plot(
                partial(
                    figures.threshold_curves,
                    places,
                    {"enrolled people recognised": named, "impostors accepted": far},
                    threshold=None if threshold is None else threshold_value(threshold),
                ),
                "Share of enrolled people recognised and of impostors accepted, against the threshold.",
                "A larger threshold recognises more people, and accepts more impostors.",
                "What a threshold does",
            ),
        )
        if report.impostors
        else (),
        notes=report.notes,
    )


def threshold_value(threshold: Threshold | float) -> float:
    """The distance below which a match is accepted."""
    return threshold.value if isinstance(threshold, Threshold) else float(threshold)


def rates_below(report: OpenSetReport, threshold: float) -> tuple[float, float]:
    """Shares of impostors accepted and of enrolled people recognised (at the first of the ranks) below a threshold."""
    own = report.scores
    accepted = int((own.impostor & (own.nearest < threshold)).sum())
    named = int((own.genuine & (own.own_rank <= report.ranks[0]) & (own.own < threshold)).sum())
    return accepted / max(report.impostors, 1), named / max(report.genuine, 1)


def looked_at(evidence: Evidence) -> str:
    """Which queries the curves are of."""
    if len(evidence.rows) < evidence.queries:
        return f"{len(evidence.rows):,} queries drawn from {evidence.queries:,}"
    return f"all {len(evidence.rows):,} queries"


def _median(edges: Floating, counts: np.ndarray[Any, Any]) -> float:
    total = np.cumsum(counts)
    if not total[-1]:
        return math.nan
    return float(edges[int(np.searchsorted(total, total[-1] / 2)) + 1])

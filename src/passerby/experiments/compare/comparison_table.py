"""The table of a comparison: means and spread over seeds, and each recipe tested against the best."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.statistics import PairedTest, compare_reports
from passerby.experiments.compare.trial import Trial
from passerby.strict_json import json_values
from passerby.version import __version__


@dataclass(frozen=True)
class Row:
    """One recipe over its seeds: mean, spread (standard deviation), and the test against the best row."""

    recipe: str
    seeds: tuple[int, ...]
    mAP: float
    mAP_spread: float
    rank1: float
    rank1_spread: float
    mINP: float
    minutes: float
    peak_gib: float
    against_best: PairedTest | None


@dataclass(frozen=True)
class Comparison:
    """Rows from the best mAP down; prints as Markdown.

    Attributes:
        rows: one a recipe.
        trials: every training.
        conditions: what all of them shared, as lines of TOML.
        protocol: how they were evaluated.
    """

    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    conditions: str
    protocol: str

    def cells(self) -> list[list[str]]:
        """Header and rows as text."""
        header = ["recipe", "mAP", "rank-1", "mINP", "seeds", "minutes", "peak GiB", "behind the best (mAP)", "p"]
        lines = [header]
        for row in self.rows:
            test = row.against_best
            lines.append(
                [
                    row.recipe,
                    _percent(row.mAP, row.mAP_spread, len(row.seeds)),
                    _percent(row.rank1, row.rank1_spread, len(row.seeds)),
                    f"{100 * row.mINP:.1f}",
                    str(len(row.seeds)),
                    f"{row.minutes:.1f}",
                    f"{row.peak_gib:.2f}",
                    "best" if test is None else _behind(test),
                    "" if test is None else f"{test.p_value:.3f}" if test.p_value >= 5e-4 else "< 0.001",
                ]
            )
        return lines

    def to_markdown(self) -> str:
        """The table, with what was shared and how it was evaluated."""
        header, *rows = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in self.cells()]
        lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
        return "\n".join([*(f"| {line} |" for line in lines), "", self.protocol])

    def to_csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        csv.writer(text).writerows(self.cells())
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: one entry a training, and the shared conditions."""
        content = {
            "conditions": self.conditions,
            "protocol": self.protocol,
            "versions": {
                "passerby": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "trials": [
                {
                    "recipe": t.recipe,
                    "seed": t.seed,
                    "epochs": len(t.curve[0]),
                    "minutes": round(t.minutes, 2),
                    "peak_gib": round(t.peak_gib, 3),
                    "held_out_mAP": t.held_out_mAP,
                    "mAP": t.report.mAP,
                    "mINP": t.report.mINP,
                    "rank1": t.report.rank(1),
                    "rank5": t.report.rank(5),
                    "rank10": t.report.rank(10),
                    "queries": t.report.queries,
                    "skipped": t.report.skipped,
                }
                for t in self.trials
            ],
        }
        return dict(json_values(content))

    def __str__(self) -> str:
        return self.to_markdown()


def summarise(trials: Sequence[Trial], common: Mapping[str, Any]) -> Comparison:
    """The table of finished trials, from the best mAP down.

    Args:
        trials: every seed of every recipe.
        common: the settings that they shared.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.recipe, []).append(trial)
    means = {name: _mean_report(group) for name, group in groups.items()}
    order = sorted(means, key=lambda name: -means[name].mAP)
    rows = []
    for name in order:
        group, report = groups[name], means[name]
        rows.append(
            Row(
                recipe=name,
                seeds=tuple(t.seed for t in group),
                mAP=report.mAP,
                mAP_spread=_spread([t.report.mAP for t in group]),
                rank1=float(np.mean([t.report.rank(1) for t in group])),
                rank1_spread=_spread([t.report.rank(1) for t in group]),
                mINP=report.mINP,
                minutes=float(np.mean([t.minutes for t in group])),
                peak_gib=max(t.peak_gib for t in group),
                against_best=None if name == order[0] else compare_reports(report, means[order[0]], unit="identity"),
            )
        )
    first = trials[0].report
    protocol = (
        f"Protocol {first.protocol}, {first.metric} distance, {first.ap_definition} AP, {first.queries:,} queries "
        f"({first.skipped} skipped), no re-ranking. Intervals and p: paired over identities, against the best row."
    )
    return Comparison(tuple(rows), tuple(trials), json.dumps(common, default=str), protocol)


def _mean_report(group: Sequence[Trial]) -> Report:
    """The mean over seeds, query by query."""
    reports = [trial.report for trial in group]
    ap = np.mean([r.per_query.ap for r in reports], axis=0)
    inp = np.mean([r.per_query.inp for r in reports], axis=0)
    return replace(
        reports[0],
        mAP=float(ap.mean()),
        mINP=float(inp.mean()),
        per_query=replace(reports[0].per_query, ap=ap, inp=inp),
    )


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _percent(value: float, spread: float, seeds: int) -> str:
    return f"{100 * value:.1f}" + (f" ± {100 * spread:.1f}" if seeds > 1 else "")


def _behind(test: PairedTest) -> str:
    interval = "" if math.isnan(test.low) else f" ({-100 * test.high:.1f} to {-100 * test.low:.1f})"
    return f"{-100 * test.difference:.1f}{interval}"

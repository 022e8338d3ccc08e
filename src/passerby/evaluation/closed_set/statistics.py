"""How sure a figure is: bootstrap intervals over queries, and a paired test of two models on the same queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.result import PerQuery, Report
from passerby.evaluation.inputs import check_name, check_resampling
from passerby.evaluation.p_values import p_value_words
from passerby.strict_json import json_values

UNITS = ("query", "identity")
_FIGURES: dict[str, Callable[[PerQuery], Float64]] = {
    "mAP": lambda q: q.ap,
    "mINP": lambda q: q.inp,
    "rank-1": lambda q: (q.first_rank == 1).astype(np.float64),
}
_CHUNK = 2**21  # random numbers that are held at once


@dataclass(frozen=True)
class Interval:
    """Bootstrap interval of one figure.

    Attributes:
        figure: "mAP", "mINP" or "rank-1".
        value: the figure itself.
        low: lower end; NaN where a single query or identity was there to draw, which says nothing of others.
        high: upper end, likewise.
        confidence: share of the resamples between them.
        unit: what was drawn, "query" or "identity".
    """

    figure: str
    value: float
    low: float
    high: float
    confidence: float
    unit: str

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.figure} {self.value:.4f} (no interval: there is one {self.unit} alone)"
        return (
            f"{self.figure} {self.value:.4f} ({self.low:.4f} to {self.high:.4f}, {self.confidence:.0%} by {self.unit})"
        )


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same queries.

    Attributes:
        figure: "mAP", "mINP" or "rank-1".
        difference: first minus second.
        low: lower end of the bootstrap interval of the difference; NaN where there is one query or identity alone.
        high: upper end, likewise.
        p_value: two-sided, by random exchange of the two models' results; the chance of a difference at least as
            large if the models were equally good.
        queries: how many queries both evaluated.
        better: on how many the first model is better.
        worse: on how many the second is.
        unit: what was drawn and exchanged, "query" or "identity".
    """

    figure: str
    difference: float
    low: float
    high: float
    p_value: float
    queries: int
    better: int
    worse: int
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON: None where there is no interval."""
        return dict(json_values({name: getattr(self, name) for name in self.__dataclass_fields__}))

    def __str__(self) -> str:
        known = not math.isnan(self.low)
        interval = f"{self.low:+.4f} to {self.high:+.4f}" if known else f"no interval: there is one {self.unit} alone"
        return (
            f"{self.figure} differs by {self.difference:+.4f} ({interval}), "
            f"{p_value_words(self.p_value)}; "
            f"better on {self.better:,} and worse on {self.worse:,} of {self.queries:,} queries (by {self.unit})"
        )


def intervals(
    report: Report,
    *,
    figures: str | Sequence[str] = ("mAP", "mINP", "rank-1"),
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    unit: str = "query",
) -> dict[str, Interval]:
    """Bootstrap intervals (percentiles) of a report's figures.

    Args:
        report: of `passerby.evaluate_embeddings`.
        figures: which, or one.
        confidence: share of the resamples within.
        resamples: how many.
        seed: of the resamples.
        unit: draw queries, or identities with all their queries (wider, as queries of one person are alike).

    Raises:
        ConfigError: an unknown figure or unit, or no resamples.
    """
    if not isinstance(report, Report):
        raise ConfigError(f"intervals: expected a report, found {type(report).__name__}")
    figures = (figures,) if isinstance(figures, str) else figures
    _check(figures, confidence, resamples, seed, unit)
    table = report.per_query
    groups = _groups(table, unit)
    found = {}
    for figure in figures:
        values = _FIGURES[figure](table)
        low, high = _percentiles(values, groups, confidence, resamples, seed)
        found[figure] = Interval(figure, float(values.mean()), low, high, confidence, unit)
    return found


def compare_reports(
    first: Report,
    second: Report,
    *,
    figure: str = "mAP",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    unit: str = "query",
) -> PairedTest:
    """Whether one model is better than another, query by query.

    Args:
        first: report of the first model.
        second: report of the second model on the same queries, by the same protocol and AP definition.
        figure: "mAP", "mINP" or "rank-1".
        confidence: of the interval of the difference.
        resamples: of the interval, and random exchanges of the test.
        seed: of both.
        unit: draw and exchange queries, or identities with all their queries.

    Raises:
        EmbeddingError: the reports are of different queries, protocols or AP definitions.
        ConfigError: an unknown figure or unit, or no resamples.
    """
    _check((figure,), confidence, resamples, seed, unit)
    for name in ("protocol", "ap_definition"):
        if getattr(first, name) != getattr(second, name):
            raise EmbeddingError(
                f"compare: both reports need the same {name}, found {getattr(first, name)!r} "
                f"and {getattr(second, name)!r}"
            )
    a, b = first.per_query, second.per_query
    if not np.array_equal(a.index, b.index) or not np.array_equal(a.pid, b.pid):
        raise EmbeddingError("compare: both reports must be of the same queries in the same order")
    difference = _FIGURES[figure](a) - _FIGURES[figure](b)
    groups = _groups(a, unit)
    low, high = _percentiles(difference, groups, confidence, resamples, seed)
    return PairedTest(
        figure=figure,
        difference=float(difference.mean()),
        low=low,
        high=high,
        p_value=_exchange(difference, groups, resamples, seed),
        queries=len(difference),
        better=int((difference > 0).sum()),
        worse=int((difference < 0).sum()),
        unit=unit,
    )


def _check(figures: Sequence[str], confidence: float, resamples: int, seed: int, unit: str) -> None:
    for figure in figures if isinstance(figures, (list, tuple, set)) else [figures]:
        check_name("figure", figure, _FIGURES)  # type: ignore[arg-type]
    check_name("unit", unit, UNITS)
    check_resampling(confidence, resamples, seed)


def _groups(table: PerQuery, unit: str) -> Int64:
    """Number of the group each query belongs to."""
    if unit == "query":
        return np.arange(len(table))
    return np.asarray(np.unique(table.pid, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _percentiles(values: Float64, groups: Int64, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    sums, sizes = np.bincount(groups, weights=values), np.bincount(groups)
    n = len(sums)
    if n < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means: list[Float64] = []
    step = max(1, _CHUNK // n)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, n, (min(step, resamples - start), n))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _exchange(difference: Float64, groups: Int64, times: int, seed: int) -> float:
    """Share of random sign changes whose sum is at least as far from 0; the observed one counts as one of them."""
    sums = np.bincount(groups, weights=difference)
    rng = np.random.default_rng(seed)
    observed = abs(float(sums.sum())) * (1 - 1e-12)  # the sums of equal values in another order may differ by rounding
    extreme = 0
    step = max(1, _CHUNK // len(sums))
    for start in range(0, times, step):
        signs = rng.integers(0, 2, (min(step, times - start), len(sums)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ sums) >= observed).sum())
    return (extreme + 1) / (times + 1)

"""From places of true matches to a report."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Bool, Float64, Int64
from passerby.config.evaluation import EvaluationSettings
from passerby.errors import EmbeddingError
from passerby.evaluation.closed_set.metrics import (
    all_shots_matches,
    average_precision,
    cumulative_matches,
    inverse_negative_penalty,
)
from passerby.evaluation.closed_set.result import PerQuery, Report, ScoreWarning
from passerby.evaluation.closed_set.single_gallery_shot import RankLaw
from passerby.search.relevance import Relevance
from passerby.search.relevant_ranks import Ranks

_OF_IMAGES = {"flip", "batch_size"}
_TIED_SHARE = 0.01
_SPREAD_RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Scoring:
    """How one evaluation scores.

    Attributes:
        protocol: by which rules, where the settings name none or no camera is known.
        settings: everything else.
        device: where products are computed; None: the CPU.
        progress: show a bar on stderr where there is much to do.
    """

    protocol: str
    settings: EvaluationSettings
    device: str | None
    progress: bool

    def record(self) -> dict[str, Any]:
        """The settings as plain values; of those that concern images there is nothing to say about vectors."""
        return {**self.settings.model_dump(mode="json", exclude=_OF_IMAGES), "protocol": self.protocol}


def report_of_law(law: RankLaw, relevance: Relevance, scoring: Scoring, notes: list[str]) -> Report:
    """Score queries whose rank is known by its probabilities, one true match each.

    Raises:
        EmbeddingError: no query has a true match, and those without one are left out.
    """
    place = np.arange(1, law.law.shape[1] + 1, dtype=np.float64)
    worth = 1 / place if scoring.settings.ap == "step" else np.where(place == 1, 1.0, 0.5 / place)
    valid = law.matches > 0
    used = _used(valid, scoring, notes)
    precision, penalty = law.law[used] @ worth, law.law[used] @ (1 / place)
    curve = np.cumsum(law.law[used].mean(axis=0))[: scoring.settings.max_rank]
    return Report(
        mAP=float(precision.mean()),
        mINP=float(penalty.mean()),
        cmc=np.pad(curve, (0, scoring.settings.max_rank - len(curve)), mode="edge"),
        **_counts(valid, used, relevance, scoring),
        notes=tuple(notes),
        per_query=_per_query(
            used, relevance, precision, penalty, np.rint(law.law[used] @ place).astype(np.int64), law.matches, law.kept
        ),
    )


def _used(valid: Bool, scoring: Scoring, notes: list[str]) -> Int64:
    """Rows of the queries that count; where none has a match but all count, all figures are 0, and a note says why."""
    if not valid.any():
        text = (
            f"none of the {len(valid):,} queries has a true match in the gallery under the protocol "
            f"{scoring.protocol!r}: check that person ids agree, and that cameras differ"
        )
        if scoring.settings.empty == "skip":
            raise EmbeddingError(text)
        if text not in notes:
            warnings.warn(text, ScoreWarning, stacklevel=4)
            notes.append(text)
    return np.flatnonzero(valid) if scoring.settings.empty == "skip" else np.arange(len(valid))


def _counts(valid: Bool, used: Int64, relevance: Relevance, scoring: Scoring) -> dict[str, Any]:
    rerank = scoring.settings.rerank
    return {
        "queries": len(used),
        "skipped": int((~valid).sum()),
        "protocol": scoring.protocol,
        "ap_definition": scoring.settings.ap,
        "metric": scoring.settings.metric,
        "settings": scoring.record(),
        "gallery": int(relevance.counted.sum()),
        "junk": int((~relevance.counted).sum()),
        "distractors": int((relevance.gallery_labels[relevance.counted] == 0).sum()),
        "rerank": None if rerank is None else {"method": "k_reciprocal", **rerank.model_dump()},
    }


def _per_query(
    used: Int64, relevance: Relevance, ap: Float64, inp: Float64, first_rank: Int64, matches: Int64, kept: Int64
) -> PerQuery:
    """Rows of the queries `used`; matches and kept are of all queries."""
    return PerQuery(
        index=used,
        pid=relevance.query_labels[used],
        camid=relevance.query_sources[used],
        ap=ap,
        inp=inp,
        first_rank=first_rank,
        matches=matches[used],
        kept=kept[used],
    )


def report_of_ranks(ranks: Ranks, relevance: Relevance, scoring: Scoring, notes: list[str]) -> Report:
    """Score queries whose true matches have known places.

    Raises:
        EmbeddingError: no query has a true match, and those without one are left out.
    """
    valid = ranks.matches > 0
    used = _used(valid, scoring, notes)
    precision = np.nan_to_num(average_precision(ranks, scoring.settings.ap)[used])
    penalty = np.nan_to_num(inverse_negative_penalty(ranks)[used])
    first = ranks.first()[used]
    tied = int(ranks.tied.sum())
    if tied > _TIED_SHARE * len(used):
        text = (
            f"{tied:,} of {len(used):,} queries have a wrong image exactly as near as their first true match: "
            "the score depends on the order of the gallery (a collapsed model, or copies of images?)"
        )
        warnings.warn(text, ScoreWarning, stacklevel=3)
        notes = [*notes, text]
    all_shots = scoring.protocol == "all_shots"
    return Report(
        mAP=float(precision.mean()),
        mINP=float(penalty.mean()),
        cmc=all_shots_matches(ranks, used, scoring.settings.max_rank)
        if all_shots
        else cumulative_matches(first, scoring.settings.max_rank),
        **_counts(valid, used, relevance, scoring),
        tied=tied,
        notes=tuple(notes),
        per_query=_per_query(used, relevance, precision, penalty, first, ranks.matches, ranks.kept),
    )


def average_reports(reports: list[Report], scoring: Scoring, junk: int) -> Report:
    """Mean of drawn repeats, with the standard deviation over them; a query's own row is its mean over the repeats."""
    index = np.unique(np.concatenate([r.per_query.index for r in reports]))
    times = np.zeros(len(index))
    sums = {name: np.zeros(len(index)) for name in ("ap", "inp", "first_rank", "matches", "kept", "pid", "camid")}
    for report in reports:
        at = np.searchsorted(index, report.per_query.index)
        times[at] += 1
        for name, total in sums.items():
            total[at] += getattr(report.per_query, name)
    mean = {name: total / times for name, total in sums.items()}
    whole = {name: np.rint(mean[name]).astype(np.int64) for name in ("first_rank", "matches", "kept", "pid", "camid")}
    return replace(
        reports[0],
        mAP=float(np.mean([r.mAP for r in reports])),
        mINP=float(np.mean([r.mINP for r in reports])),
        cmc=np.mean([r.cmc for r in reports], axis=0),
        queries=len(index),
        skipped=min(r.skipped for r in reports),
        junk=junk,
        repeats=len(reports),
        std=spread_of(reports),
        notes=(*reports[0].notes, f"{_drawn(len(reports))} of the gallery, seed {scoring.settings.seed}"),
        per_query=PerQuery(index=index, ap=mean["ap"], inp=mean["inp"], **whole),
    )


def _drawn(repeats: int) -> str:
    return "one random draw, without a standard deviation," if repeats == 1 else f"mean of {repeats} random draws"


def spread_of(reports: list[Report]) -> dict[str, float]:
    """Standard deviation of every figure over reports of the same rules; {} for one report, which shows no spread."""
    if len(reports) < 2:
        return {}
    ranks = [k for k in _SPREAD_RANKS if k <= len(reports[0].cmc)]
    figures = {"mAP": [r.mAP for r in reports], "mINP": [r.mINP for r in reports]}
    figures |= {f"rank-{k}": [r.rank(k) for r in reports] for k in ranks}
    # of a sample: the draws stand for all possible ones
    return {name: float(np.std(values, ddof=1)) for name, values in figures.items()}

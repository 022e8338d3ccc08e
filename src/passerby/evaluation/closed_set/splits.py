"""Datasets with several splits, whose result is the mean over them, and many encoders on many datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.config.keywords import keywords_of_function, takes_keywords
from passerby.data.records import ReIDDataset
from passerby.embedding.embed import Embedder
from passerby.errors import EmbeddingError
from passerby.evaluation.closed_set.result import PerQuery, Report
from passerby.evaluation.closed_set.scoring import spread_of
from passerby.evaluation.evaluate import evaluate


@takes_keywords(keywords_of_function(evaluate))
def evaluate_splits(encoder: Embedder, splits: Sequence[ReIDDataset], **arguments: Any) -> Report:
    """Mean and standard deviation over the splits of a dataset (`passerby.load_splits`), never pooled.

    One encoder sees all of them, so it must have been trained on other data: the test persons of one split are the
    training persons of another. To train on each split, train one run a split and give its reports to
    `average_splits`.

    Args:
        encoder: a `passerby.Encoder`.
        splits: the dataset's splits.
        **arguments: of `passerby.evaluate`: `settings`, single settings by name, `device`, `progress`.

    Raises:
        EmbeddingError: no splits; or as `passerby.evaluate` does.
    """
    return average_splits([evaluate(encoder, data, **arguments) for data in splits])


def average_splits(reports: Sequence[Report]) -> Report:
    """Mean over reports of several splits; `std` is the standard deviation over them, empty for one split.

    Queries and gallery are those of all splits together, and so is `per_query`, split after split. A split's own
    deviation over random draws is left out.

    Raises:
        EmbeddingError: no reports, something else, or reports of different rules.
    """
    _check_reports(reports)
    first = reports[0]
    wanted = _rules(first)
    for report in reports:
        for name, value in _rules(report).items():
            if value != wanted.get(name, value):
                raise EmbeddingError(f"average_splits: expected one {name}, found {wanted[name]!r} and {value!r}")
    length = min(len(report.cmc) for report in reports)
    columns = {
        name: np.concatenate([getattr(report.per_query, name) for report in reports])
        for name in PerQuery.__dataclass_fields__
    }
    sums = {name: sum(getattr(r, name) for r in reports) for name in ("queries", "skipped", "gallery", "junk")}
    own_notes = dict.fromkeys(note for report in reports for note in report.notes)
    return replace(
        first,
        mAP=float(np.mean([r.mAP for r in reports])),
        mINP=float(np.mean([r.mINP for r in reports])),
        cmc=np.mean([r.cmc[:length] for r in reports], axis=0),
        **sums,
        distractors=sum(r.distractors for r in reports),
        tied=sum(r.tied for r in reports),
        repeats=len(reports),
        std=spread_of(list(reports)),
        notes=(*own_notes, _averaged(len(reports))),
        per_query=PerQuery(**columns),
    )


def _check_reports(reports: object) -> None:
    if not isinstance(reports, (list, tuple)):
        raise EmbeddingError(f"average_splits: expected a list of reports, found {type(reports).__name__}")
    if not reports:
        raise EmbeddingError("average_splits: expected at least one report, found none")
    for report in reports:
        if not isinstance(report, Report):
            raise EmbeddingError(f"average_splits: expected reports, found {type(report).__name__} among them")


def _averaged(splits: int) -> str:
    if splits == 1:
        return "one split alone, without a standard deviation"
    return f"mean over {splits} splits; ± is the standard deviation over them"


def _rules(report: Report) -> dict[str, Any]:
    """What must agree among splits: all settings but those of how the same vectors are computed."""
    plain = {name: getattr(report, name) for name in ("protocol", "ap_definition", "metric", "rerank")}
    return plain | {name: value for name, value in report.settings.items() if name not in (*plain, "ap", *_HOW)}


_HOW = ("batch_size", "engine", "threads")


@dataclass(frozen=True)
class CrossDomain:
    """Every encoder on every dataset.

    Attributes:
        reports: by name of the encoder, then by name of the dataset.
    """

    reports: Mapping[str, Mapping[str, Report]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            encoder: {data: report.to_dict() for data, report in row.items()} for encoder, row in self.reports.items()
        }

    def __str__(self) -> str:
        datasets = list(next(iter(self.reports.values())))
        width = max(len("encoder"), *map(len, self.reports))
        cell = max(17, *map(len, datasets))
        lines = [f"{'encoder':{width}}  " + "  ".join(f"{name:>{cell}}" for name in datasets)]
        for encoder, row in self.reports.items():
            figures = (f"{row[name].mAP:.4f} / {row[name].rank(1):.4f}" for name in datasets)
            lines.append(f"{encoder:{width}}  " + "  ".join(f"{text:>{cell}}" for text in figures))
        lines.append("mAP / rank-1")
        for name, report in next(iter(self.reports.values())).items():
            rerank = "no re-ranking" if report.rerank is None else "re-ranked"
            lines.append(
                f"{name}: {report.queries:,} queries ({report.skipped:,} skipped) in {report.gallery:,}, protocol "
                f"{report.protocol}, {report.metric} distance, {report.ap_definition} AP, {rerank}"
            )
        return "\n".join(lines)


@takes_keywords(keywords_of_function(evaluate))
def cross_domain(
    encoders: Mapping[str, Embedder], datasets: Mapping[str, ReIDDataset], **arguments: Any
) -> CrossDomain:
    """Evaluate every encoder on every dataset: what is learnt on one, and how far it carries to the others.

    Args:
        encoders: by name.
        datasets: by name.
        **arguments: of `passerby.evaluate`: `settings`, single settings by name, `device`, `progress`.

    Raises:
        EmbeddingError: no encoder or no dataset; or as `passerby.evaluate` does.
    """
    if not encoders or not datasets:
        raise EmbeddingError(
            f"cross_domain: expected at least one encoder and one dataset, found {len(encoders)} and {len(datasets)}"
        )
    return CrossDomain(
        {
            name: {where: evaluate(encoder, data, **arguments) for where, data in datasets.items()}
            for name, encoder in encoders.items()
        }
    )

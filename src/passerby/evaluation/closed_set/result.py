"""What an evaluation says: numbers, what they counted, and every query's own result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.config.evaluation import EvaluationSettings
from passerby.errors import EmbeddingError
from passerby.strict_json import json_values

_SHOWN_RANKS = (1, 5, 10, 20)


class ScoreWarning(UserWarning):
    """The numbers are right, but probably not what was meant."""


@dataclass(frozen=True)
class PerQuery:
    """One row for each query that was evaluated.

    Attributes:
        index: row of the query in what was evaluated (after pooling, if any), [n].
        pid: its person, [n].
        camid: its camera, -1 unknown, [n].
        ap: average precision, [n].
        inp: inverse negative penalty, [n].
        first_rank: 1-based place of the first true match (0: none; over random draws the rounded mean), [n].
        matches: number of true matches, [n].
        kept: number of gallery images that counted, [n].
    """

    index: Int64
    pid: Int64
    camid: Int64
    ap: Float64
    inp: Float64
    first_rank: Int64
    matches: Int64
    kept: Int64

    def __len__(self) -> int:
        return len(self.index)

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each query."""
        names = list(self.__dataclass_fields__)
        return [
            dict(zip(names, row, strict=True)) for row in zip(*(getattr(self, n).tolist() for n in names), strict=True)
        ]


def unusual_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a report's settings that are not the default, besides the ones that every report shows."""
    usual = EvaluationSettings().model_dump(mode="json")
    shown = ("protocol", "metric", "ap", "rerank", "batch_size")
    return {name: value for name, value in settings.items() if name not in shown and value != usual.get(name)}


@dataclass(frozen=True, kw_only=True)
class Report:
    """Closed-set result; fractions, never percents.

    Attributes:
        mAP: mean average precision over the queries.
        mINP: mean inverse negative penalty.
        cmc: cmc[k - 1] is the share of queries with a true match within the first k places.
        queries: how many queries the means are taken over.
        skipped: queries without any true match, left out of the means.
        protocol: by which rules.
        ap_definition: "step" or "trapezoid".
        metric: "euclidean" or "cosine".
        gallery: gallery images that were searched (junk left out).
        junk: gallery images left out for everybody.
        distractors: gallery images of nobody in particular (person id 0), which always count as wrong.
        tied: queries whose first true match is as near as a wrong image (the smaller gallery index then stands first).
        repeats: random repeats (or splits) that were averaged (None: nothing random).
        std: standard deviation over the repeats, by name of the figure (empty: nothing random, or one repeat alone).
        rerank: settings of the re-ranking, None without.
        settings: everything that was set (`passerby.config.EvaluationSettings`) as plain values, by name; `flip` and
            `batch_size` only where images were embedded for it.
        notes: what a reader must know (adaptations, warnings).
        per_query: every evaluated query's own result.
    """

    mAP: float
    mINP: float
    cmc: Float64
    queries: int
    skipped: int
    protocol: str
    ap_definition: str
    metric: str
    gallery: int
    junk: int
    distractors: int = 0
    tied: int = 0
    repeats: int | None = None
    std: dict[str, float] = field(default_factory=dict)
    rerank: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    per_query: PerQuery

    def rank(self, k: int) -> float:
        """CMC at rank k (1 is the first place); beyond the curve's end its last value.

        Raises:
            EmbeddingError: k below 1.
        """
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise EmbeddingError(f"rank: expected k of 1 or more, found {k!r}")
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def to_dict(self, *, per_query: bool = False) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON; with `per_query` also one row for each query."""
        content: dict[str, Any] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("cmc", "per_query", "notes")
        }
        content["cmc"] = self.cmc.tolist()
        content["notes"] = list(self.notes)
        if per_query:
            content["per_query"] = self.per_query.rows()
        return dict(json_values(content))

    def to_json(self, *, per_query: bool = False) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(per_query=per_query), indent=2, allow_nan=False)

    def __str__(self) -> str:
        ranks = [k for k in _SHOWN_RANKS if k <= len(self.cmc)]
        heads = ["mAP", "mINP", *(f"rank-{k}" for k in ranks)]
        values = [self.mAP, self.mINP, *(self.rank(k) for k in ranks)]
        lines = ["  ".join(f"{h:>7}" for h in heads), "  ".join(f"{v:7.4f}" for v in values)]
        if self.std:
            spread = [self.std.get(name, 0.0) for name in heads]
            lines.append("  ".join(f"±{v:6.4f}" for v in spread))
        rerank = "no re-ranking" if self.rerank is None else f"re-ranked {self.rerank}"
        lines += [
            f"{self.queries:,} queries ({self.skipped:,} skipped) in a gallery of {self.gallery:,} "
            f"({self.distractors:,} distractors; {self.junk:,} junk images left out)",
            f"protocol {self.protocol}, {self.metric} distance, {self.ap_definition} AP, {rerank}",
        ]
        if unusual := unusual_settings(self.settings):
            lines.append(", ".join(f"{name} {value}" for name, value in unusual.items()))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

"""Pair verification: are these two images of one person? True positive rate at given false positive rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby import array_types
from passerby.array_types import Float64
from passerby.errors import EmbeddingError
from passerby.evaluation.good_and_junk import EXCLUSIONS
from passerby.evaluation.inputs import check_inputs, check_name
from passerby.evaluation.open_set.error_rates import allowed_errors, checked_rates, threshold_at
from passerby.search import arrays
from passerby.search.distances import pairwise, row_blocks
from passerby.search.relevance import METRICS, Relevance
from passerby.strict_json import json_values


@dataclass(frozen=True)
class VerificationReport:
    """Rates over all pairs of a query and a gallery image that count; fractions, never percents.

    Attributes:
        fpr: false positive rates that were asked for, [m].
        achieved: those reached (ties and few pairs make them smaller), [m].
        tpr: true positive rates there, [m].
        thresholds: same person when the distance is smaller than this, [m].
        genuine: pairs of one person.
        impostor: pairs of two people.
        metric: "euclidean" or "cosine".
    """

    fpr: tuple[float, ...]
    achieved: tuple[float, ...]
    tpr: tuple[float, ...]
    thresholds: tuple[float, ...]
    genuine: int
    impostor: int
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return dict(json_values({name: getattr(self, name) for name in self.__dataclass_fields__}))

    def __str__(self) -> str:
        lines = ["FPR wanted    achieved         TPR   threshold"]
        for row in zip(self.fpr, self.achieved, self.tpr, self.thresholds, strict=True):
            lines.append("  ".join(f"{v:10.4g}" for v in row))
        lines.append(f"{self.genuine:,} genuine and {self.impostor:,} impostor pairs, {self.metric} distance")
        return "\n".join(lines)


def verify_pairs(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    query_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    query_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    fpr: float | Sequence[float] = (1e-4, 1e-3, 1e-2),
    metric: str = "euclidean",
    exclude: str = "same_id_same_camera",
    junk_pids: Sequence[int] = (-1,),
) -> VerificationReport:
    """TPR at FPR: the threshold is the largest that takes at most floor(fpr * impostor pairs) of them for one person.

    This scores single pairs, not searches: it is not comparable with DIR at FAR (`passerby.evaluate_open_set`).

    Args:
        query_vectors: [q, dim].
        gallery_vectors: [g, dim].
        query_pids: [q].
        gallery_pids: [g]; 0 is a distractor, a different person each time.
        query_camids: [q]; None: no cameras.
        gallery_camids: [g]; likewise.
        fpr: false positive rates, or one.
        metric: "euclidean" or "cosine".
        exclude: pairs that do not count, as in `passerby.evaluate_embeddings`.
        junk_pids: gallery images of these ids do not count.

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, a rate outside 0..1, no pair of one kind, or
            a person id below 1 that a query and a gallery image have.
        ConfigError: an unknown metric or exclusion.
    """
    check_name("metric", metric, METRICS)
    check_name("exclusion", exclude, EXCLUSIONS)
    rates = checked_rates(fpr, "fpr", "false positive rate")
    inputs = check_inputs(query_vectors, gallery_vectors, query_pids, gallery_pids, query_camids, gallery_camids)
    inputs.check_nobody(junk_pids)
    relevance = inputs.relevance(exclude, junk_pids)
    rows = list(row_blocks(len(inputs.query), len(inputs.gallery)))
    # how many impostor pairs there are decides how many of the nearest must be kept
    impostors = sum(int(_kinds(relevance, part)[1].sum()) for part in rows)
    keep = allowed_errors(max(rates), impostors) + 1
    genuine: list[Float64] = []
    nearest = np.empty(0)
    for part in rows:
        same, other = _kinds(relevance, part)
        distances = pairwise(inputs.query[part], inputs.gallery, metric)
        genuine.append(distances[same])
        nearest = np.concatenate([nearest, distances[other]])
        if len(nearest) > keep:
            nearest = np.partition(nearest, keep - 1)[:keep]
    own = np.concatenate(genuine)
    if len(own) == 0 or impostors == 0:
        raise EmbeddingError(
            f"verification needs pairs of both kinds, found {len(own):,} genuine and {impostors:,} impostor"
        )
    nearest = np.sort(nearest)
    thresholds = [threshold_at(nearest, rate, impostors) for rate in rates]
    return VerificationReport(
        fpr=rates,
        achieved=tuple(float((nearest < t).sum() / impostors) for t in thresholds),
        tpr=tuple(float((own < t).mean()) for t in thresholds),
        thresholds=tuple(thresholds),
        genuine=len(own),
        impostor=impostors,
        metric=metric,
    )


def _kinds(relevance: Relevance, rows: slice) -> tuple[array_types.Bool, array_types.Bool]:
    """Pairs of one person and pairs of two, among those that count: [rows, g] each."""
    kept = relevance.kept(rows)
    same = relevance.query_labels[rows, None] == relevance.gallery_labels
    return kept & same, kept & ~same

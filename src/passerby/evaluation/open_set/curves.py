"""Open-set identification: who is enrolled is recognised, and who is not is refused.

The nearest enrolled image decides; its identity is accepted if its distance is smaller than the threshold (strictly).
DIR(τ, r): share of genuine probes whose own identity stands within the first r identities, each at its nearest image,
and whose own nearest image is nearer than τ. FAR(τ): share of impostor probes whose nearest image is nearer than τ
(Grother and Phillips' detection and identification rate, in distances).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.array_types import Float64
from passerby.errors import EmbeddingError
from passerby.evaluation.inputs import check_whole
from passerby.evaluation.open_set.error_rates import SIZES, checked_rates, far_at_size, threshold_at
from passerby.evaluation.open_set.probes import ProbeScores, search_probes
from passerby.search import arrays
from passerby.strict_json import json_values


@dataclass(frozen=True)
class OpenSetPoint:
    """One operating point.

    Attributes:
        target: the false accept rate that was asked for.
        far: the one achieved (ties and few impostors make it smaller).
        threshold: accept when the distance is smaller than this.
        dir: rank -> detection and identification rate.
    """

    target: float
    far: float
    threshold: float
    dir: dict[int, float]


@dataclass(frozen=True)
class OpenSetReport:
    """Open-set result; fractions, never percents.

    Attributes:
        points: one for each false accept rate that was asked for.
        genuine: probes whose identity is enrolled.
        impostors: probes whose identity is not.
        skipped: probes whose identity is enrolled by images only that do not count for them (same camera).
        identities: identities in the gallery.
        finest_far: 1 / impostors, the smallest false accept rate other than 0 that these probes can show.
        metric: "euclidean" or "cosine".
        ranks: ranks of the rates.
        notes: what a reader must know.
        scores: every probe's own result.
    """

    points: tuple[OpenSetPoint, ...]
    genuine: int
    impostors: int
    skipped: int
    identities: int
    finest_far: float
    metric: str
    ranks: tuple[int, ...]
    notes: tuple[str, ...]
    scores: ProbeScores

    def at(self, far: float) -> OpenSetPoint:
        """The operating point that accepts at most floor(far * impostors) impostors.

        Raises:
            EmbeddingError: far outside 0..1.
        """
        return operating_point(self.scores, far, self.ranks)

    def curve(self, rank: int = 1) -> tuple[Float64, Float64, Float64]:
        """(far, dir, threshold) at every reachable false accept rate, ascending.

        Raises:
            EmbeddingError: a rank below 1.
        """
        check_whole("rank", rank)
        thresholds = np.append(np.unique(self.scores.nearest[self.scores.impostor]), np.inf)
        impostors = np.sort(self.scores.nearest[self.scores.impostor])
        hit = self.scores.genuine & (self.scores.own_rank <= rank)
        own = np.sort(self.scores.own[hit])
        far = np.searchsorted(impostors, thresholds, side="left") / max(len(impostors), 1)
        return far, np.searchsorted(own, thresholds, side="left") / max(self.genuine, 1), thresholds

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON: None where a rate or threshold is not finite.

        `expected_far` of a point is empty where no impostor was accepted, from which no other rate follows.
        """
        points = [
            {"target": p.target, "far": p.far, "threshold": p.threshold, "dir": {str(k): v for k, v in p.dir.items()}}
            for p in self.points
        ]
        for point, found in zip(points, self.points, strict=True):
            sizes = self.expected_far(found.far) if found.far > 0 else ()
            point["expected_far"] = [{"identities": g, "far": f} for g, f in sizes]
        names = ("genuine", "impostors", "skipped", "identities", "finest_far", "metric")
        content = {"points": points, **{n: getattr(self, n) for n in names}, "notes": list(self.notes)}
        return dict(json_values(content))

    def expected_far(self, far: float) -> tuple[tuple[int, float], ...]:
        """What a threshold with this FAR here will have among 10, 30, 100 and 300 enrolled people.

        1 - (1 - FAR)^(G / G here); exact to a few percent of the rate for small rates, above it for large ones.
        """
        return tuple((size, far_at_size(far, self.identities, size)) for size in SIZES)

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        heads = ["FAR wanted", "achieved", "threshold", *(f"DIR rank-{r}" for r in self.ranks)]
        lines = ["  ".join(f"{h:>10}" for h in heads)]
        for point in self.points:
            values = [point.target, point.far, point.threshold, *(point.dir[r] for r in self.ranks)]
            lines.append("  ".join(f"{v:10.4f}" for v in values))
        lines.append(
            f"{self.genuine:,} genuine probes, {self.impostors:,} impostors, {self.skipped:,} skipped, "
            f"{self.identities:,} identities enrolled, {self.metric} distance; finest FAR {self.finest_far:.2g}"
        )
        for point in self.points if self.impostors else ():
            lines.append(f"FAR expected of threshold {point.threshold:.4f}: {self._expected(point.far)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _expected(self, far: float) -> str:
        """The false accept rates among other numbers of people, in words; none follows from no false accept."""
        if not far > 0:
            return f"not known, as it accepts none of the {self.impostors:,} impostors here"
        return ", ".join(f"{rate:.2%} with {size}" for size, rate in self.expected_far(far)) + " people enrolled"


def evaluate_open_set(
    probe_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    probe_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    probe_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    far: float | Sequence[float] = (0.01, 0.1),
    ranks: int | Sequence[int] = (1,),
    metric: str = "euclidean",
    exclude: str = "same_id_same_camera",
    junk_pids: Sequence[int] = (-1,),
    normalization: str | None = None,
    cohort_vectors: arrays.Vectors | None = None,
    cohort_size: int = 200,
) -> OpenSetReport:
    """Detection and identification rate at given false accept rates.

    Args:
        probe_vectors: [p, dim]; probes whose id is not in the gallery are the impostors.
        gallery_vectors: [g, dim], the enrolled images.
        probe_pids: [p]; 0 and -1 are people who are not enrolled, a different one each time.
        gallery_pids: [g]; 0 is a distractor, a different person each time.
        probe_camids: [p], -1 unknown; None: no cameras.
        gallery_camids: [g], likewise.
        far: false accept rates, or one; for each the largest threshold that accepts at most floor(far * impostors).
        ranks: ranks (over identities) of the rates, or one.
        metric: "euclidean" or "cosine".
        exclude: gallery images left out for a probe: "same_id_same_camera", "same_camera" or "none".
        junk_pids: gallery images of these ids are left out.
        normalization: None, "z" (each enrolled image's distances to the cohort) or "adaptive_s" (the probe's and the
            enrolled image's, over their nearest in the cohort); see `passerby.evaluation.open_set.normalization`.
        cohort_vectors: [c, dim], images of other people, needed with a normalization.
        cohort_size: adaptive_s: how many of the cohort's nearest.

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, a rate outside 0..1, an empty gallery, or a
            person id below 1 that a probe and a gallery image have.
        ConfigError: an unknown metric or exclusion.
    """
    rates, places = checked_rates(far, "far"), _checked_ranks(ranks)
    scores, identities = search_probes(
        probe_vectors, gallery_vectors, probe_pids, gallery_pids, probe_camids, gallery_camids,
        metric=metric, exclude=exclude, junk_pids=junk_pids,
        normalization=normalization, cohort_vectors=cohort_vectors, cohort_size=cohort_size,
    )  # fmt: skip
    impostors = int(scores.impostor.sum())
    return OpenSetReport(
        points=tuple(operating_point(scores, x, places) for x in rates),
        genuine=int(scores.genuine.sum()),
        impostors=impostors,
        skipped=int((~scores.genuine & ~scores.impostor).sum()),
        identities=identities,
        finest_far=1 / impostors if impostors else math.nan,
        metric=metric,
        ranks=places,
        notes=notes_on_rates(impostors, rates),
        scores=scores,
    )


def _checked_ranks(ranks: Any) -> tuple[int, ...]:
    several = tuple(ranks) if isinstance(ranks, (list, tuple, set, range, np.ndarray)) else (ranks,)
    if not several:
        raise EmbeddingError("ranks: expected at least one rank, found none")
    for rank in several:
        check_whole("ranks", rank)
    return tuple(int(r) for r in several)


def operating_point(scores: ProbeScores, far: float, ranks: Sequence[int]) -> OpenSetPoint:
    """The largest threshold that accepts at most floor(far * impostors) impostors, and its rates.

    With impostor distances s in ascending order: s[floor(far * n)], infinity at far = 1 or without impostors.

    Raises:
        EmbeddingError: `far` is no share between 0 and 1.
    """
    (far,) = checked_rates([far], "far")
    impostors = np.sort(scores.nearest[scores.impostor])
    threshold = threshold_at(impostors, far)
    own, rank = scores.own[scores.genuine], scores.own_rank[scores.genuine]
    return OpenSetPoint(
        target=far,
        far=float((impostors < threshold).mean()) if len(impostors) else math.nan,
        threshold=threshold,
        dir={r: float(((own < threshold) & (rank <= r)).mean()) if len(own) else math.nan for r in ranks},
    )


def notes_on_rates(impostors: int, far: Sequence[float]) -> tuple[str, ...]:
    """What a reader must know of these false accept rates: undefined, or finer than so many impostors can show."""
    if impostors == 0:
        return ("no impostors: the false accept rate is undefined and every probe is accepted",)
    return tuple(
        f"a FAR of {x:g} is finer than {impostors:,} impostors can show (1/{impostors:,} = {1 / impostors:.2g}): "
        "the threshold accepts none of them"
        for x in far
        if 0 < x < 1 / impostors - 1e-12
    )

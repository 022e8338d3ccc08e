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

from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.normalization import cohort_normalization
from passerby.evaluation.open_set.probes import OpenSetPoint, ProbeScores, operating_point, search_probes, threshold_at
from passerby.search import arrays

__all__ = [
    "OpenSetPoint",
    "OpenSetReport",
    "ProbeScores",
    "Threshold",
    "calibrate_threshold",
    "camera_thresholds",
    "evaluate_open_set",
    "operating_point",
    "search_probes",
    "threshold_of",
]

_CURVE_POINTS = 200


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
        """(far, dir, threshold) at every reachable false accept rate, ascending."""
        thresholds = np.append(np.unique(self.scores.nearest[self.scores.impostor]), np.inf)
        impostors = np.sort(self.scores.nearest[self.scores.impostor])
        hit = self.scores.genuine & (self.scores.own_rank <= rank)
        own = np.sort(self.scores.own[hit])
        far = np.searchsorted(impostors, thresholds, side="left") / max(len(impostors), 1)
        return far, np.searchsorted(own, thresholds, side="left") / max(self.genuine, 1), thresholds

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON."""
        points = [
            {"target": p.target, "far": p.far, "threshold": p.threshold, "dir": {str(k): v for k, v in p.dir.items()}}
            for p in self.points
        ]
        names = ("genuine", "impostors", "skipped", "identities", "finest_far", "metric")
        return {"points": points, **{n: getattr(self, n) for n in names}, "notes": list(self.notes)}

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

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
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class Threshold:
    """A distance below which a match is accepted.

    Attributes:
        value: accept when the distance is smaller than this.
        far: false accept rate it has on the impostors it was chosen on.
        dir: detection and identification rate at rank 1 on the genuine probes there (NaN: there were none).
        interval: bootstrap interval of `value`.
        impostors: how many impostor probes it was chosen on.
        target: the false accept rate that was asked for.
        finest_far: 1 / impostors.
        genuine: how many genuine probes.
        identities: how many identities were enrolled; a larger gallery has more false accepts.
        metric: which distance.
        notes: what a reader must know.
        curve: (threshold, FAR, DIR at rank 1) at other operating points, ascending.
    """

    value: float
    far: float
    dir: float
    interval: tuple[float, float]
    impostors: int
    target: float
    finest_far: float
    genuine: int
    identities: int
    metric: str
    notes: tuple[str, ...] = ()
    curve: tuple[tuple[float, float, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "interval": list(self.interval),
            "notes": list(self.notes),
            "curve": [{"threshold": t, "far": far, "dir": hit} for t, far, hit in self.curve],
        }

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"accept below {self.value:.4f} (95 % of resamples: {low:.4f} to {high:.4f}): FAR {self.far:.4f} of "
            f"{self.impostors:,} impostors (wanted {self.target:.4f}, finest reachable {self.finest_far:.2g}), "
            f"DIR {self.dir:.4f} of {self.genuine:,} genuine probes, {self.identities:,} identities enrolled"
        )
        return "\n".join([text, *(f"note: {note}" for note in self.notes)])


def evaluate_open_set(
    probe_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    probe_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    probe_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    far: Sequence[float] = (0.01, 0.1),
    ranks: Sequence[int] = (1,),
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
        probe_pids: [p].
        gallery_pids: [g].
        probe_camids: [p], -1 unknown; None: no cameras.
        gallery_camids: [g], likewise.
        far: false accept rates; for each the largest threshold is taken that accepts at most floor(far * impostors).
        ranks: ranks (over identities) of the rates.
        metric: "euclidean" or "cosine".
        exclude: gallery images left out for a probe: "same_id_same_camera", "same_camera" or "none".
        junk_pids: gallery images of these ids are left out.
        normalization: None, "z" (each enrolled image's distances to the cohort) or "adaptive_s" (the probe's and the
            enrolled image's, over their nearest in the cohort); see `passerby.evaluation.open_set.normalization`.
        cohort_vectors: [c, dim], images of other people, needed with a normalization.
        cohort_size: adaptive_s: how many of the cohort's nearest.

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, a rate outside 0..1, an empty gallery.
        ConfigError: an unknown metric or exclusion.
    """
    scores, identities = search_probes(
        probe_vectors, gallery_vectors, probe_pids, gallery_pids, probe_camids, gallery_camids,
        metric=metric, exclude=exclude, junk_pids=junk_pids, normalize=cohort_normalization(
            normalization, cohort_vectors, probe_vectors, gallery_vectors, metric=metric, size=cohort_size
        ),
    )  # fmt: skip
    if any(r < 1 for r in ranks):
        raise EmbeddingError(f"ranks: expected 1 or more, found {list(ranks)}")
    impostors = int(scores.impostor.sum())
    return OpenSetReport(
        points=tuple(operating_point(scores, x, ranks) for x in far),
        genuine=int(scores.genuine.sum()),
        impostors=impostors,
        skipped=int((~scores.genuine & ~scores.impostor).sum()),
        identities=identities,
        finest_far=1 / impostors if impostors else math.nan,
        metric=metric,
        ranks=tuple(ranks),
        notes=_notes(scores, far),
        scores=scores,
    )


def calibrate_threshold(
    probe_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    probe_pids: arrays.Labels,
    gallery_pids: arrays.Labels,
    probe_camids: arrays.Labels | None = None,
    gallery_camids: arrays.Labels | None = None,
    *,
    far: float = 0.01,
    metric: str = "euclidean",
    exclude: str = "same_id_same_camera",
    junk_pids: Sequence[int] = (-1,),
    normalization: str | None = None,
    cohort_vectors: arrays.Vectors | None = None,
    cohort_size: int = 200,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Threshold:
    """Choose the threshold for a false accept rate, with its bootstrap interval.

    The data must be of identities that served neither training nor the test: a threshold that was chosen on the
    test's impostors is optimistic.

    Args:
        probe_vectors: [p, dim]; probes whose id is not in the gallery are the impostors.
        gallery_vectors: [g, dim].
        probe_pids: [p].
        gallery_pids: [g].
        probe_camids: [p], -1 unknown; None: no cameras.
        gallery_camids: [g], likewise.
        far: wanted false accept rate.
        metric: "euclidean" or "cosine".
        exclude: as in `evaluate_open_set`.
        junk_pids: gallery images of these ids are left out.
        normalization: as in `evaluate_open_set`.
        cohort_vectors: likewise.
        cohort_size: likewise.
        confidence: of the interval.
        resamples: bootstrap resamples; impostor identities are drawn, with all their images.
        seed: of the resamples.

    Raises:
        EmbeddingError: as `evaluate_open_set`; or there are no impostors, so that no rate can be had.
        ConfigError: an unknown metric or exclusion.
    """
    scores, identities = search_probes(
        probe_vectors, gallery_vectors, probe_pids, gallery_pids, probe_camids, gallery_camids,
        metric=metric, exclude=exclude, junk_pids=junk_pids, normalize=cohort_normalization(
            normalization, cohort_vectors, probe_vectors, gallery_vectors, metric=metric, size=cohort_size
        ),
    )  # fmt: skip
    pids = arrays.as_labels(probe_pids, len(scores.nearest), "probe_pids", "probe_vectors")
    return threshold_of(
        scores, pids, identities, far=far, metric=metric, confidence=confidence, resamples=resamples, seed=seed
    )


def threshold_of(
    scores: ProbeScores,
    probe_pids: Int64,
    identities: int,
    *,
    far: float,
    metric: str,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Threshold:
    """`calibrate_threshold` on scores that are there already."""
    impostors = scores.nearest[scores.impostor]
    if len(impostors) == 0:
        raise EmbeddingError(
            "calibrate: every probe's identity is enrolled, so there is no impostor to measure a false accept rate on; "
            "leave some identities out of the gallery"
        )
    point = operating_point(scores, far, (1,))
    low, high = _bootstrap(impostors, probe_pids[scores.impostor], far, confidence, resamples, seed)
    return Threshold(
        value=point.threshold,
        far=point.far,
        dir=point.dir[1],
        interval=(low, high),
        impostors=len(impostors),
        target=far,
        finest_far=1 / len(impostors),
        genuine=int(scores.genuine.sum()),
        identities=identities,
        metric=metric,
        notes=_notes(scores, (far,)),
        curve=_curve(scores),
    )


def _curve(scores: ProbeScores) -> tuple[tuple[float, float, float], ...]:
    """Operating points at finite thresholds, evenly spread over the false accept rates, the small ones included."""
    impostors = np.sort(scores.nearest[scores.impostor])
    thresholds = np.unique(impostors[np.isfinite(impostors)])
    spread = np.unique(np.geomspace(1, len(thresholds), min(_CURVE_POINTS, len(thresholds))).astype(np.int64)) - 1
    own = np.sort(scores.own[scores.genuine & (scores.own_rank == 1)])
    genuine = max(int(scores.genuine.sum()), 1)
    return tuple(
        (float(t), float((impostors < t).mean()), float(np.searchsorted(own, t, side="left") / genuine))
        for t in thresholds[spread]
    )


def camera_thresholds(
    scores: ProbeScores,
    probe_pids: Int64,
    probe_camids: Int64,
    identities: int,
    *,
    far: float,
    metric: str,
    seed: int = 0,
) -> dict[int, Threshold]:
    """One threshold for each probe camera whose impostors can show the wanted rate (at least 1 / far of them).

    Args:
        scores: of `search_probes`.
        probe_pids: [p].
        probe_camids: [p].
        identities: how many are enrolled.
        far: wanted false accept rate.
        metric: which distance.
        seed: of the bootstrap.

    Returns:
        Camera -> threshold; cameras with too few impostors are missing.
    """
    found = {}
    for camera in np.unique(probe_camids[probe_camids >= 0]):
        here = probe_camids == camera
        if far * (scores.impostor & here).sum() >= 1 - 1e-9:
            found[int(camera)] = threshold_of(
                scores.select(here), probe_pids[here], identities, far=far, metric=metric, seed=seed
            )
    return found


def _bootstrap(
    impostors: Float64, pids: Int64, far: float, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    # images of one person are alike: whole identities are drawn
    groups = [np.flatnonzero(pids == pid) for pid in np.unique(pids)]
    values = np.empty(resamples)
    for i in range(resamples):
        drawn = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        values[i] = threshold_at(np.sort(impostors[drawn]), far)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="nearest")
    return float(low), float(high)


def _notes(scores: ProbeScores, far: Sequence[float]) -> tuple[str, ...]:
    impostors = int(scores.impostor.sum())
    if impostors == 0:
        return ("no impostors: the false accept rate is undefined and every probe is accepted",)
    return tuple(
        f"a FAR of {x:g} is finer than {impostors:,} impostors can show (1/{impostors:,} = {1 / impostors:.2g}): "
        "the threshold accepts none of them"
        for x in far
        if 0 < x < 1 / impostors - 1e-12
    )

"""The distance below which a match is accepted, chosen for a false accept rate, and how sure that choice is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.inputs import check_resampling
from passerby.evaluation.open_set.curves import notes_on_rates, operating_point
from passerby.evaluation.open_set.error_rates import threshold_at
from passerby.evaluation.open_set.probes import ProbeScores, search_probes
from passerby.search import arrays
from passerby.strict_json import json_values

_CURVE_POINTS = 200
_LOW_DIR = 0.5


@dataclass(frozen=True)
class Threshold:
    """A distance below which a match is accepted.

    Attributes:
        value: accept when the distance is smaller than this.
        far: false accept rate it has on the impostors it was chosen on.
        dir: detection and identification rate at rank 1 on the genuine probes there (NaN: there were none).
        interval: bootstrap interval of `value`, drawing people; NaN where all impostors are one person.
        impostors: how many impostor probes it was chosen on.
        target: the false accept rate that was asked for.
        finest_far: 1 / impostors.
        genuine: how many genuine probes.
        identities: how many identities were enrolled; a larger gallery has more false accepts.
        metric: which distance.
        notes: what a reader must know.
        curve: (threshold, FAR, DIR at rank 1) at other operating points, ascending.
        expected_far: (number of enrolled people, FAR that the threshold will have there), where a law is known.
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
    expected_far: tuple[tuple[int, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "curve": [{"threshold": t, "far": far, "dir": hit} for t, far, hit in self.curve],
            "expected_far": [{"identities": size, "far": far} for size, far in self.expected_far],
        }
        return dict(json_values(content))

    def __str__(self) -> str:
        low, high = self.interval
        one = math.isnan(low)
        interval = "no interval: one impostor alone" if one else f"95 % of resamples: {low:.4f} to {high:.4f}"
        text = (
            f"accept below {self.value:.4f} ({interval}): FAR {self.far:.4f} of "
            f"{self.impostors:,} impostors (wanted {self.target:.4f}, finest reachable {self.finest_far:.2g}), "
            f"DIR {self.dir:.4f} of {self.genuine:,} genuine probes, {self.identities:,} identities enrolled"
        )
        sizes = [f"{far:.2%} with {size:,}" for size, far in self.expected_far]
        expected = [f"expected FAR of this threshold: {', '.join(sizes)} people enrolled"] if sizes else []
        return "\n".join([text, *expected, *(f"note: {note}" for note in self.notes)])


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
        probe_pids: [p]; 0 and -1 are people who are not enrolled, a different one each time.
        gallery_pids: [g]; 0 is a distractor, a different person each time.
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
        ConfigError: an unknown metric or exclusion, or a confidence, resamples or seed by which none can be drawn.
    """
    check_resampling(confidence, resamples, seed)
    (probe_pids, gallery_pids), _ = arrays.number_names(probe_pids, gallery_pids)  # type: ignore[assignment]
    scores, identities = search_probes(
        probe_vectors, gallery_vectors, probe_pids, gallery_pids, probe_camids, gallery_camids,
        metric=metric, exclude=exclude, junk_pids=junk_pids,
        normalization=normalization, cohort_vectors=cohort_vectors, cohort_size=cohort_size,
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
    draws: int = 1,
    finetuned: bool = False,
) -> Threshold:
    """`calibrate_threshold` on scores that are there already.

    Args:
        scores: of `search_probes`.
        probe_pids: [p].
        identities: how many are enrolled.
        far: wanted false accept rate.
        metric: which distance.
        confidence: as in `calibrate_threshold`.
        resamples: likewise.
        seed: likewise.
        draws: how often the same probes are in `scores`, searched among other people each time; the rates are then
            means over the draws.
        finetuned: the encoder has learnt from people of one's own already: what is advised at low rates.

    Raises:
        EmbeddingError: as `calibrate_threshold`; a rate outside 0..1.
    """
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
        impostors=len(impostors) // draws,
        target=far,
        finest_far=draws / len(impostors),
        genuine=int(scores.genuine.sum()) // draws,
        identities=identities,
        metric=metric,
        notes=(*notes_on_rates(len(impostors) // draws, (far,)), *_note_on_dir(point.dir[1], finetuned=finetuned)),
        curve=_curve(scores),
    )


def _note_on_dir(rate: float, *, finetuned: bool) -> tuple[str, ...]:
    """What a low detection and identification rate means to who uses the threshold."""
    if not rate < _LOW_DIR:
        return ()
    helps = (
        "more images and people to fine-tune on, or a stronger encoder to begin with (`passerby hub list`), help with "
        "both"
        if finetuned
        else "a better encoder (`passerby train finetune`) helps with both"
    )
    return (
        f"a DIR of {rate:.2f}: this threshold rejects {1 - rate:.0%} of the pictures of people you know, or takes them "
        f"for somebody else. A larger far accepts more of them, and of the people you do not know; {helps}",
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
    people = np.where(pids > 0, pids, -2 - np.arange(len(pids)))
    groups = [np.flatnonzero(people == person) for person in np.unique(people)]
    if len(groups) < 2:
        return math.nan, math.nan
    values = np.empty(resamples)
    for i in range(resamples):
        drawn = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        values[i] = threshold_at(np.sort(impostors[drawn]), far)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="nearest")
    return float(low), float(high)

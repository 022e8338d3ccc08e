"""A gallery calibrates itself: from the people it holds to p-values, and to the threshold of a false accept rate.

Each enrolled identity is, in turn, a person whom nobody enrolled (`impostor_searches`). The law of the distances that
they meet says how often somebody who is not enrolled comes as near as a probe did, in this gallery, at its size, with
its cameras. Below 200 people the encoder's own laws (`passerby calibrate`) are blended in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.errors import NotInGalleryError
from passerby.evaluation.open_set.cohort_distances import COHORT
from passerby.evaluation.open_set.encoder_impostor_laws import (
    HeldOutLaws,
    Kind,
    Probes,
    blend_with_encoder,
    stored_laws,
)
from passerby.evaluation.open_set.impostor_distances import LEAST_FRAMES, ImpostorDistances
from passerby.evaluation.open_set.impostor_fit import LEAST_PEOPLE, fit_impostor_law, threshold_interval
from passerby.evaluation.open_set.impostor_law import NO_LAW, ImpostorLaw, Source
from passerby.gallery.comparison import LEAST_PEOPLE as LEAST_PEOPLE_OF_COHORT
from passerby.gallery.encoder_vectors import EncoderVectors
from passerby.gallery.impostor_searches import CalibrationRows
from passerby.gallery.pair_judgements import people_under_one_number
from passerby.gallery.stored_impostors import LEAST_ROWS, from_bytes, key_of, to_bytes
from passerby.gallery.stores.enrolled_rows import NO_ROWS, EnrolledRows
from passerby.gallery.stores.protocol import Settings, Store
from passerby.gallery.verdict_rule import VerdictRule
from passerby.search.score import ScoreName

_TRIES = 3
_RESAMPLES = 100


@dataclass(frozen=True)
class GalleryCalibration:
    """What a false accept rate asks for in this gallery, now.

    Attributes:
        far: asked false accept rate, as a share.
        threshold: the distance below which (strictly) p <= far; None: too little is known for this rate (see `note`);
            0: nobody can be accepted at this rate with the guarantee that was asked for.
        identities: G, consolidated identities that the law holds for.
        finest_far: the smallest rate that these people can show (0: every rate, infinity: none).
        interval: 95 % bootstrap interval of the threshold, drawing people; None where it cannot be given.
        source: "gallery", "blend" (with the encoder's held-out people), "encoder" or "none".
        kind: "identify" (leaves out the probe's camera) or "observe".
        people: enrolled people that calibrate.
        extrapolated: fewer people than 1 / far: the fitted tail gives the threshold.
        conservative: share of people's observations that had to be compared within one camera.
        in_force: the threshold that decides now: one that was set goes first, and the encoder's of version 0.1 counts
            where there are too few people.
        in_force_far: the rate that `in_force` has in this gallery; None where no law says it.
        curve: (distance, p-value) points of the law, ascending.
        note: one sentence on what it rests on, or what is missing.
        cohort: the law, its threshold and its curve are of distances relative to a cohort (see `relative_distance`).
        camera_means: version of the camera means without which vectors are compared; 0: as they are.
    """

    far: float
    threshold: float | None
    identities: int
    finest_far: float
    interval: tuple[float, float] | None
    source: Source
    kind: Kind = "identify"
    people: int = 0
    extrapolated: bool = False
    conservative: float = 0.0
    in_force: float | None = None
    in_force_far: float | None = None
    curve: tuple[tuple[float, float], ...] = ()
    note: str = ""
    cohort: bool = False
    camera_means: int = 0

    def __str__(self) -> str:
        if self.threshold is None:
            lines = [f"{self.kind}: {self.note}"]
        else:
            interval = (
                "" if self.interval is None else f" (95 % interval {self.interval[0]:.4f} to {self.interval[1]:.4f})"
            )
            lines = [
                f"{self.kind}: accept below {self.threshold:.4f} for a false accept rate of {self.far:.2%}{interval}",
                f"{self.identities:,} people; {self.note}",
            ]
        if self.in_force is not None and self.in_force != self.threshold:
            rate = "" if self.in_force_far is None else f", a false accept rate of {self.in_force_far:.2%} here"
            lines.append(f"a threshold of {self.in_force:.4f} decides instead{rate}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Law:
    """A law for a gallery's present size, and the impostor distances that it is made from."""

    law: ImpostorLaw
    impostors: ImpostorDistances
    encoder: HeldOutLaws | None
    relative: bool = False
    thresholds: dict[float, float] = field(default_factory=dict)

    def threshold(self, far: float) -> float:
        """Of a rate; computed once."""
        if far not in self.thresholds:
            self.thresholds[far] = self.law.threshold(far)
        return self.thresholds[far]


_NOTHING = _Law(NO_LAW, ImpostorDistances(np.zeros(0), np.zeros(0, np.int64), 0), None)
_Known: TypeAlias = tuple[Hashable, CalibrationRows, dict[tuple[Kind, Probes, bool], _Law]]
"""A revision of the store, its enrolled rows, and the laws that were asked for (True: of cameras that took none)."""


class Calibrator:
    """The laws of one open gallery, derived from its store when they are asked for, and kept until it changes.

    What is kept is replaced as a whole and never changed, so that several threads may ask at once.

    Args:
        store: of the gallery.
        inputs: knows the encoder's calibration.
        guaranteed: conformal p-values, which assume nothing but that people are exchangeable.
    """

    def __init__(self, store: Store, inputs: EncoderVectors, *, guaranteed: bool = False) -> None:
        self._store = store
        self._inputs = inputs
        self.guaranteed = guaranteed
        self._known: _Known = (None, CalibrationRows(NO_ROWS, {}), {})

    def rows(self) -> CalibrationRows:
        """The enrolled rows and their searches, brought up to date."""
        return self._current()[1]

    def law(self, kind: Kind, probes: Probes = "images") -> ImpostorLaw:
        """The law of impostor distances; its source is "none" where there is none."""
        return self._law(kind, probes).law

    def read_vectors(self, ids: Int64) -> Float32:
        """Vectors [n, D] of observations."""
        return self._store.vectors(ids) if len(ids) else np.zeros((0, 1), np.float32)

    def _current(self) -> _Known:
        revision = self._store.revision()
        known, rows, laws = self._known
        if revision == known:
            return known, rows, laws
        for _ in range(_TRIES - 1):
            try:
                return self._refreshed(revision, rows, laws)
            except NotInGalleryError:  # somebody was forgotten between two looks at the store
                revision = self._store.revision()
        return self._refreshed(revision, rows, laws)

    def _refreshed(
        self, revision: Hashable, rows: CalibrationRows, laws: dict[tuple[Kind, Probes, bool], _Law]
    ) -> _Known:
        found = self._store.enrolled_rows().as_one(people_under_one_number(self._store))
        same = found.same_rows(rows.rows) and found.people == rows.rows.people
        laws = {key: law for key, law in laws.items() if same and law.relative == self._has_cohort(found)}
        rows = rows.updated(found, self.read_vectors)
        self._known = known = (revision, rows, laws)
        return known

    def _law(self, kind: Kind, probes: Probes, *, new_camera: bool = False) -> _Law:
        revision, rows, laws = self._current()
        key = (kind, probes, new_camera)
        if key not in laws and new_camera:
            usual = self._law(kind, probes)
            law = usual.law if usual.relative else _among_all(usual.law, rows.compared_share)
            laws[key] = replace(usual, law=law, thresholds={})
        elif key not in laws:
            cohort = self._has_cohort(rows.rows)
            impostors = self._impostors(revision, rows, kind, probes, cohort)
            plain = not cohort and rows.rows.offsets is None  # the encoder's laws are of plain distances
            stored = stored_laws(self._inputs.calibration, kind, probes) if plain and not self.guaranteed else None
            encoder = _euclidean(stored)
            law = _law_of(impostors, rows.rows.people, encoder, guaranteed=self.guaranteed)
            laws[key] = _Law(law, impostors, encoder, cohort)
        return laws[key]

    def _impostors(
        self, revision: Hashable, rows: CalibrationRows, kind: Kind, probes: Probes, cohort: bool
    ) -> ImpostorDistances:
        """What impostors met: as the store keeps it, where computing it takes long."""
        compute = rows.relative_impostors if cohort else rows.impostors
        if len(rows.rows) < LEAST_ROWS or (rows.has_searched(kind, probes) and not cohort):
            return compute(kind, probes, self.read_vectors)
        key = key_of(rows.rows, kind, probes, self._store.settings().camera_means, cohort)
        kept = self._store.stored_calibration(key)
        if kept is not None:
            return from_bytes(kept)
        found = compute(kind, probes, self.read_vectors)
        self._store.store_calibration(key, to_bytes(found), revision)
        return found

    def is_new_camera(self, cameras: Collection[str]) -> bool:
        """Whether none of these cameras took an enrolled observation, so that leaving them out leaves out nothing."""
        return not self._current()[1].rows.has_some_of(cameras)

    def _has_cohort(self, rows: EnrolledRows) -> bool:
        """Whether distances are judged relative to a cohort: not among few people."""
        return rows.people >= LEAST_PEOPLE_OF_COHORT and self._store.settings().cohort

    # -- what decides ------------------------------------------------------------------------------------------------

    def rule(
        self,
        kind: Kind,
        probes: Probes,
        score: ScoreName,
        *,
        call: float | None,
        far: float,
        settings: Settings,
        new_camera: bool = False,
    ) -> VerdictRule:
        """What decides about a probe: a threshold of the call, the gallery's own in `settings`, or the rate `far`.

        "identify" calibrates with people whose own camera is left out. A probe of a camera that took no enrolled
        observation (`new_camera`) meets more of them, and its law is carried to that many. Distances relative to a
        cohort need no such thing: the cohort comes nearer, too.

        The laws are of distances to the nearest observation. Means of several such distances are larger, so that they
        are on the safe side; the distance to a centroid can be smaller, and has no p-value.
        """
        own = settings.threshold
        made = _NOTHING if score == "centroid" else self._law(kind, probes, new_camera=new_camera)
        if made.relative and score != "min":  # the law is of the least distances' differences
            note = f"no threshold is calibrated for the score {score!r} with a cohort: pass one, or use 'min'"
            made = _NOTHING
            if call is None and own is None:
                return VerdictRule(None, "none", None, note)
        found = made.law
        law = None if found.source == "none" else found
        if call is not None:
            return VerdictRule(call, "call", law, "the threshold is the call's", made.relative)
        if own is not None:
            return VerdictRule(own, "set", law, "the threshold was set for this gallery", made.relative)
        if law is not None and law.finest_far <= far:
            note = _note(made, far, probes, settings)
            return VerdictRule(made.threshold(far), law.source, law, note, made.relative)
        if not settings.camera_means and self._inputs.threshold is not None and not self._inputs.has_laws:
            note = (
                "the threshold is the encoder's, for about as many people as it was measured with: "
                f"{_missing(found, far, probes)}"
            )
            return VerdictRule(self._inputs.threshold, "encoder threshold", law, note)
        if law is not None and law.form == "guaranteed":
            return VerdictRule(0.0, law.source, law, f"nobody can be accepted: {_missing(law, far, probes)}")
        if score == "centroid":
            return VerdictRule(
                None, "none", None, "no threshold is calibrated for the score 'centroid': pass one, or use 'min'"
            )
        return VerdictRule(None, "none", law, _missing(found, far, probes))

    def calibration(self, kind: Kind, far: float, *, own_far: float, settings: Settings) -> GalleryCalibration:
        """What a rate asks for of single images, and what decides by these settings: its own threshold or rate."""
        made = self._law(kind, "images")
        law = made.law
        rule = self.rule(kind, "images", "min", call=None, far=own_far, settings=settings)
        in_force = rule.threshold
        measured = in_force is not None and law.source != "none" and not (made.relative and rule.basis == "set")
        enough = law.source != "none" and law.finest_far <= far
        return GalleryCalibration(
            far=far,
            threshold=law.threshold(far) if enough else 0.0 if law.form == "guaranteed" else None,
            identities=law.identities,
            finest_far=law.finest_far,
            interval=_interval(made, far) if enough else None,
            source=law.source,
            kind=kind,
            people=made.impostors.people,
            extrapolated=law.extrapolated(far),
            conservative=law.conservative,
            in_force=in_force,
            in_force_far=law.p_value(in_force) if measured and in_force is not None else None,
            curve=tuple(zip(law.distances, law.p_values, strict=True)),
            note=_note(made, far, "images", settings) if enough else _missing(law, far, "images"),
            cohort=made.relative,
            camera_means=settings.camera_means,
        )


def _note(made: _Law, far: float, probes: Probes, settings: Settings) -> str:
    """What a law rests on, and how the gallery compares where that is not the plain way."""
    parts = [_describe(made.law, far, probes)]
    if settings.camera_means:
        parts.append(f"without camera means, version {settings.camera_means}")
    if made.relative:
        parts.append(f"distances are relative to the {COHORT} next nearest people")
    elif settings.cohort:
        parts.append(f"without the cohort, which takes {LEAST_PEOPLE_OF_COHORT} enrolled people")
    return "; ".join(parts)


def _law_of(impostors: ImpostorDistances, people: int, encoder: HeldOutLaws | None, *, guaranteed: bool) -> ImpostorLaw:
    law = fit_impostor_law(impostors, guaranteed=guaranteed)
    law = law.carried(max(people, 1)) if law.source != "none" else replace(NO_LAW, identities=people)
    return law if encoder is None else blend_with_encoder(law, impostors, encoder)


def _among_all(law: ImpostorLaw, share: float) -> ImpostorLaw:
    return law if law.source == "none" else law.among_more(1 / share)


def _euclidean(laws: HeldOutLaws | None) -> HeldOutLaws | None:
    """Laws of a cosine distance 1 - cos as those of the distance between unit vectors, sqrt(2 - 2 cos)."""
    if laws is None or laws.laws[0].metric == "euclidean":
        return laws
    return HeldOutLaws(
        tuple(
            replace(law, metric="euclidean", distances=tuple(math.sqrt(max(2 * d, 0.0)) for d in law.distances))
            for law in laws.laws
        )
    )


def _interval(made: _Law, far: float) -> tuple[float, float] | None:
    """Bootstrap interval of the threshold; whole people are drawn."""
    law, impostors = made.law, made.impostors
    if law.form != "fitted" or impostors.people < LEAST_PEOPLE:
        return None
    if law.source == "gallery":
        # the rate at the size that the searches saw
        own = -math.expm1((impostors.searched + 1) / law.identities * math.log1p(-far))
        return threshold_interval(impostors, own)
    if made.encoder is None:
        return None
    rng = np.random.default_rng(0)
    people, row = np.unique(impostors.identities, return_inverse=True)
    places = [np.flatnonzero(row == one) for one in range(len(people))]
    found = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(people), size=len(people))
        parts = [places[one] for one in drawn]
        sample = ImpostorDistances(
            impostors.distances[np.concatenate(parts)],
            np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
            impostors.searched,
            impostors.conservative,
        )
        found.append(_law_of(sample, law.identities, made.encoder, guaranteed=False).threshold(far))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _describe(law: ImpostorLaw, far: float, probes: Probes) -> str:
    """What a law rests on, in one sentence."""
    people = round(law.people)
    what = {
        "gallery": f"calibrated by the {people:,} enrolled people that were compared with each other",
        "blend": "calibrated by the enrolled people and those that the encoder was calibrated on",
        "encoder": f"calibrated by the {people:,} people that the encoder was calibrated on, not by this gallery's",
        "none": "",
    }[law.source]
    parts = [what + (", as tracklets" if probes == "tracklets" else "")]
    if law.form == "guaranteed":
        parts.append("guaranteed for exchangeable people")
    if law.extrapolated(far):
        parts.append(f"extrapolated: fewer than {math.ceil(1 / far):,} people cannot show {far:.2%}")
    if law.conservative >= 0.5:
        parts.append("conservative: most people were compared within one camera")
    return "; ".join(parts)


def _missing(law: ImpostorLaw, far: float, probes: Probes) -> str:
    """What a rate cannot be given for, and what to do."""
    calibrate = "calibrate the encoder on people that it was not trained on (`passerby calibrate`)"
    if probes == "tracklets" and law.source == "none":
        return (
            "no threshold is calibrated for the mean of several frames: enrol at least 2 people with "
            f"{LEAST_FRAMES} or more images of one camera each, {calibrate}, or give single images"
        )
    if law.source == "none":
        return f"no threshold is calibrated: enrol at least 2 people, or {calibrate}"
    if law.form == "guaranteed":
        least = math.ceil(1 / far - 1 - 1e-9)
        return f"guaranteeing {far:.2%} takes {least:,} enrolled people, found {round(law.people):,}"
    return (
        f"no threshold is calibrated: {round(law.people):,} enrolled people can show a false accept rate of "
        f"{law.finest_far:.1%} at best, and {far:.2%} is asked; enrol more, or {calibrate}"
    )

"""An encoder's impostor laws: from people held out of its training, for galleries of several sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.impostor_distances import (
    MOST_IDENTITIES,
    ImpostorDistances,
    calibrating,
    person_weights,
)
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law, written_down
from passerby.evaluation.open_set.impostor_law import ImpostorLaw
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.search.distances import pairwise

LAWS = "impostor_laws"
"""Key of the impostor laws in threshold.json; files of version 0.1 have none."""
Kind: TypeAlias = Literal["identify", "observe"]
Probes: TypeAlias = Literal["images", "tracklets"]
KINDS: tuple[Kind, ...] = ("identify", "observe")
PROBES: tuple[Probes, ...] = ("images", "tracklets")
SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000)
_TAIL = 0.2  # up to this p-value the largest size's law is carried to the smaller ones
_PRIOR_PEOPLE = 50.0  # that an encoder's law counts as, wherever it is from
_MOST_PRIOR_PEOPLE = 200.0  # as many as it was measured on, at most, where the gallery agrees with it
_ENOUGH = 200  # from so many people on the encoder's laws are left out
_SCALE_PEOPLE = 20.0
_SHIFT = 1.5  # standard errors that a gallery's median may lie off before the law is moved
_QUARTILES = (0.25, 0.5, 0.75)
_BLOCK = 2**22
_GRID = 1000


@dataclass(frozen=True)
class HeldOutLaws:
    """Laws of one encoder, ascending by size.

    Attributes:
        laws: each with source "encoder".
    """

    laws: tuple[ImpostorLaw, ...]

    def __post_init__(self) -> None:
        if not self.laws or any(law.source == "none" for law in self.laws):
            raise EmbeddingError("held-out laws: expected at least one impostor law, found none")

    def at(self, identities: int) -> ImpostorLaw:
        """The law for a gallery of this size, carried from the nearest size that was measured.

        Raises:
            EmbeddingError: fewer than 1 identity.
        """
        nearest = min(self.laws, key=lambda law: abs(np.log(law.identities / max(identities, 1))))
        return nearest.carried(identities)

    def to_list(self) -> list[dict[str, Any]]:
        """Plain numbers and texts, ready for JSON."""
        return [law.to_dict() for law in self.laws]

    @classmethod
    def from_list(cls, content: Sequence[Mapping[str, Any]]) -> HeldOutLaws:
        """What `to_list` made.

        Raises:
            EmbeddingError: it is not that.
        """
        return cls(tuple(ImpostorLaw.from_dict(entry) for entry in content))


def law_key(kind: Kind, probes: Probes = "images") -> str:
    """The name of laws beside an encoder: the kind of search, and whether it is for tracklets."""
    return kind if probes == "images" else f"{kind}_{probes}"


def stored_laws(calibration: Mapping[str, Any], kind: Kind, probes: Probes = "images") -> HeldOutLaws | None:
    """The impostor laws of an encoder's calibration (`Encoder.calibration`, the content of threshold.json).

    Args:
        calibration: what `calibrate` wrote, or an earlier version.
        kind: which search they are for.
        probes: single images, or means of several frames.

    Returns:
        The laws; None before calibration and where version 0.1 calibrated: its threshold holds for about as many
        enrolled people as it was measured with (`describe_calibration` says how many).

    Raises:
        EmbeddingError: damaged laws.
    """
    laws = calibration.get(LAWS)
    key = law_key(kind, probes)
    if not isinstance(laws, Mapping) or key not in laws:
        return None
    return HeldOutLaws.from_list(laws[key])


def fit_held_out_laws(
    observations: LabelledVectors,
    tracklets: LabelledVectors | None = None,
    *,
    exclude_camera: bool = True,
    metric: str = "euclidean",
    most: int = MOST_IDENTITIES,
) -> HeldOutLaws | None:
    """Impostor laws from people who served no training.

    For a size G below that of all of them, the p-value is the mean over all galleries of G of these people; in the
    tail, where these are too few to show it, the fitted law of all of them is carried to the size.

    Args:
        observations: their images, [n].
        tracklets: what plays the impostors instead of the images themselves (`pseudo_tracklets`).
        exclude_camera: leave out what the probe's camera took, as `identify` does.
        metric: "euclidean" or "cosine".
        most: people that are used at most.

    Returns:
        The laws; None from fewer than three people, or where cameras leave nothing to compare.
    """
    rows = observations.select(calibrating(observations.identities, most))
    probes = rows if tracklets is None else tracklets.select(np.isin(tracklets.identities, rows.identities))
    if len(np.unique(rows.identities)) < 3 or not len(probes):
        return None
    distances, people = identity_distances(rows, probes, exclude_camera=exclude_camera, metric=metric)
    nearest = ImpostorDistances(distances.min(axis=1), probes.identities, len(people) - 1)
    whole = fit_impostor_law(nearest, metric=metric)
    if whole.source == "none":
        return None
    whole = replace(whole, source="encoder")
    weights, ascending = person_weights(probes.identities), np.sort(distances, axis=1)
    smaller = [_of_size(size, whole, ascending, weights) for size in SIZES if size < len(people) - 1]
    return HeldOutLaws((*smaller, whole))


def identity_distances(
    rows: LabelledVectors, probes: LabelledVectors | None = None, *, exclude_camera: bool, metric: str
) -> tuple[Float64, Int64]:
    """Each probe's distance to each identity's nearest observation, [n, people], and the people.

    Infinity for its own identity, and for identities that only its own camera saw. Without probes the observations
    themselves are searched.
    """
    probes = rows if probes is None else probes
    order = np.argsort(rows.identities, kind="stable")
    people, starts = np.unique(rows.identities[order], return_index=True)
    found = np.empty((len(probes), len(people)))
    step = max(1, _BLOCK // max(len(rows), 1))
    for top in range(0, len(probes), step):
        part = slice(top, top + step)
        distances = pairwise(probes.vectors[part], rows.vectors[order], metric)
        if exclude_camera:
            cameras = probes.cameras[part]
            distances[(cameras[:, None] == rows.cameras[order]) & (cameras[:, None] >= 0)] = np.inf
        found[part] = np.minimum.reduceat(distances, starts, axis=1)
    found[np.arange(len(probes)), np.searchsorted(people, probes.identities)] = np.inf
    return found, people


def _of_size(size: int, whole: ImpostorLaw, ascending: Float64, weights: Float64) -> ImpostorLaw:
    """The law for galleries of `size` of these people."""
    grid = np.linspace(whole.distances[0], whole.distances[-1], _GRID)
    others = ascending.shape[1] - 1
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, others + 1)))])
    # a random gallery misses the c identities within d with probability C(others - c, size) / C(others, size)
    beyond = np.arange(others, -1, -1)
    left = np.maximum(beyond - size, 0)
    miss = np.where(
        beyond >= size,
        np.exp(factorials[beyond] - factorials[left] - factorials[others] + factorials[others - size]),
        0,
    )
    within = np.stack([np.searchsorted(row, grid, side="right") for row in ascending])
    observed = weights @ (1 - miss[np.minimum(within, others)])
    carried = np.asarray(whole.carried(size).p_value(grid))
    p = np.where(np.asarray(whole.p_value(grid)) <= _TAIL, carried, observed)
    at, p = written_down(grid, p)
    return replace(whole, distances=tuple(at.tolist()), p_values=tuple(p.tolist()), identities=size, form="fitted")


def blend_with_encoder(gallery: ImpostorLaw, impostors: ImpostorDistances, encoder: HeldOutLaws) -> ImpostorLaw:
    """A small gallery's law, blended with its encoder's.

    log p is the mean of the two laws' with weight n / (n + m (1 - n / 200)) for the gallery's n people. m is 50, and
    where the medians of both agree it rises to the number of people that the encoder's law is from (200 at most): with
    s for their difference in standard errors, by the share max(0, 1 - (s / 1.5)^2). Where s is larger the place is
    another one, and the encoder's law is moved (and stretched) towards the gallery's quartiles first.

    Args:
        gallery: of `fit_impostor_law`, or without p-values.
        impostors: what it was fitted to.
        encoder: of `fit_held_out_laws`.

    Returns:
        The blend with source "blend"; "encoder" where the gallery has no law; the gallery's own law where it has
        enough people, or is "guaranteed".

    Raises:
        EmbeddingError: two different metrics.
    """
    if gallery.metric != encoder.laws[0].metric:
        raise EmbeddingError(
            f"the gallery's law is of {gallery.metric} distances and the encoder's of {encoder.laws[0].metric}: "
            "calibrate the encoder with the gallery's metric"
        )
    size = max(gallery.identities, 1)
    if gallery.source == "none":
        return encoder.at(size)
    if gallery.form == "guaranteed" or gallery.people >= _ENOUGH:
        return gallery
    difference = _difference(encoder.at(max(impostors.searched, 1)), impostors)
    law = encoder.at(size) if difference is None else _moved(encoder.at(size), difference, impostors.people)
    left_out = gallery.people / _ENOUGH
    prior = _prior_people(encoder.laws[-1].people, difference) * (1 - left_out)
    # a law that fits no tail says nothing below what it observed
    share = 0.0 if gallery.form == "empirical" else gallery.people / (gallery.people + prior)
    grid = np.linspace(
        min(gallery.distances[0], law.distances[0]), max(gallery.distances[-1], law.distances[-1]), _GRID
    )
    own, foreign = (np.log(np.asarray(part.p_value(grid))) for part in (gallery, law))
    at, p = written_down(grid, np.exp(share * np.maximum(own, -50) + (1 - share) * np.maximum(foreign, -50)))
    return replace(
        gallery,
        distances=tuple(at.tolist()),
        p_values=tuple(p.tolist()),
        people=gallery.people + law.people * (1 - left_out),
        source="blend",
        form="fitted",
    )


@dataclass(frozen=True)
class _Difference:
    """Quartiles of a gallery's distances and of the encoder's law, and how far the medians lie apart.

    Attributes:
        found: the gallery's, [3].
        expected: the encoder's, [3].
        errors: between the medians, in standard errors.
    """

    found: Float64
    expected: Float64
    errors: float


def _difference(expected: ImpostorLaw, impostors: ImpostorDistances) -> _Difference | None:
    """None where there is nothing to compare."""
    order = np.argsort(impostors.distances, kind="stable")
    d, weights = impostors.distances[order], impostors.weights[order]
    kept = np.isfinite(d)
    there = np.interp(_QUARTILES, expected.p_values, expected.distances)
    spread = there[2] - there[0]
    if not kept.any() or not spread > 0:
        return None
    found = np.interp(_QUARTILES, (np.cumsum(weights) - weights / 2)[kept], d[kept])
    # a median's standard error is 1.25 sd / sqrt(n), and the quartiles of a bell lie 1.35 sd apart
    error = 0.93 * spread * np.sqrt(1 / impostors.people + 1 / max(expected.people, 1))
    return _Difference(found, there, float(abs(found[1] - there[1]) / error))


def _prior_people(held_out: float, difference: _Difference | None) -> float:
    """How many people an encoder's law counts as."""
    agreement = 0.0 if difference is None else max(0.0, 1 - (difference.errors / _SHIFT) ** 2)
    return _PRIOR_PEOPLE + agreement * max(0.0, min(held_out, _MOST_PRIOR_PEOPLE) - _PRIOR_PEOPLE)


def _moved(law: ImpostorLaw, difference: _Difference, people: int) -> ImpostorLaw:
    """The encoder's law, moved towards the gallery's quartiles as far as these differ significantly."""
    found, there = difference.found, difference.expected
    moved = max(0.0, 1 - (_SHIFT / max(difference.errors, 1e-9)) ** 2)
    shift = moved * (found[1] - there[1])
    stretch = max((found[2] - found[0]) / (there[2] - there[0]), 1e-3) ** (moved * people / (people + _SCALE_PEOPLE))
    distances = (np.array(law.distances) - there[1]) * stretch + there[1] + shift
    kept = distances > 0
    if kept.sum() < 2:
        return law
    return replace(
        law, distances=tuple(distances[kept].tolist()), p_values=tuple(np.array(law.p_values)[kept].tolist())
    )

"""From impostor distances to their law: the share observed, blended with a fitted tail.

With n people, e the share of their observations within a distance (each person counting once) and t the fitted tail's
share, the p-value is p = lambda e + (1 - lambda) t with lambda = n p / (n p + 3): where many people lie within the
distance what was observed decides, where few do the tail. Solved for p:

    p = ((n e - 3) + sqrt((n e - 3)^2 + 12 n t)) / (2 n).

"guaranteed" assumes nothing but that people are exchangeable: p = (1 + n e) / (n + 1). Averaged over galleries and
people, at most the asked share is accepted (conformal risk control: Angelopoulos, Bates, Fisch, Lei and Schuster, ICLR
2024, with e as the risk), but for the one identity that a search with one left out does not see. It accepts nobody
where n < 1 / far - 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.array_types import Float64
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances, person_weights
from passerby.evaluation.open_set.impostor_law import NO_LAW, Form, ImpostorLaw
from passerby.evaluation.open_set.impostor_tail import Tail, fit_tail

LEAST_PEOPLE = 5
"""Fewer people fit no tail."""
_CONFIDENCE = 3.0  # so many people within a distance weigh as much as the tail
_GRID = 2000
_LEVELS = 96  # p-values that a law is written down at
_SMALLEST = 1e-6
_LARGEST_MISFIT = 5.0  # standard deviations
_CHECKED = (0.02, 0.05, 0.2)
_CHUNK = 2**22


def fit_impostor_law(
    impostors: ImpostorDistances, *, metric: str = "euclidean", guaranteed: bool = False
) -> ImpostorLaw:
    """The law of a gallery of one identity more than each search saw.

    Args:
        impostors: of `impostor_distances`.
        metric: of the distances.
        guaranteed: the conformal p-value instead of the fitted one.

    Returns:
        The law; one without p-values (source "none") from fewer than two people. Fewer than `LEAST_PEOPLE`, and
        distances that no tail fits, have the conformal p-value with the form "empirical".
    """
    people = impostors.people
    if people < 2 or impostors.searched < 1 or not np.isfinite(impostors.distances).any():
        return replace(NO_LAW, identities=impostors.searched + 1, people=people, metric=metric)
    d, weights = _ascending(impostors)
    form: Form = "guaranteed" if guaranteed else "fitted"
    tail = None if guaranteed else _checked_tail(d, weights, people)
    if tail is None:
        form = "guaranteed" if guaranteed else "empirical"
        at, p = _conformal(d, weights, people)
    else:
        grid = distance_grid(d[d > 0], tail)
        fitted = tail.p_value(grid)
        if d[0] == 0:  # the same image under two names: observed, and beyond what a tail reaches
            grid, fitted = np.append(0.0, grid), np.append(np.zeros((1, 1)), fitted, axis=1)
        at, p = written_down(grid, blended(people, _share(d, weights[None], grid), fitted)[0])
    law = ImpostorLaw(
        distances=tuple(at.tolist()),
        p_values=tuple(p.tolist()),
        identities=impostors.searched + (form != "fitted"),
        people=people,
        observations=len(impostors),
        source="gallery",
        form=form,
        conservative=impostors.conservative,
        metric=metric,
    )
    return law.carried(impostors.searched + 1)


def threshold_interval(
    impostors: ImpostorDistances, far: float, *, confidence: float = 0.95, resamples: int = 200, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the fitted law's threshold; whole people are drawn.

    Args:
        impostors: of `impostor_distances`.
        far: asked false accept rate, above 0 and below 1.
        confidence: of the interval.
        resamples: how often.
        seed: of the draws.

    Raises:
        EmbeddingError: a rate outside 0..1, or fewer than `LEAST_PEOPLE` people.
    """
    if not 0 < far < 1:
        raise EmbeddingError(f"far: expected a share above 0 and below 1, found {far}")
    people, row, count = np.unique(impostors.identities, return_inverse=True, return_counts=True)
    if len(people) < LEAST_PEOPLE:
        raise EmbeddingError(f"threshold_interval: expected at least {LEAST_PEOPLE} people, found {len(people)}")
    order = np.argsort(impostors.distances, kind="stable")
    d, row = impostors.distances[order], row[order]
    kept = np.isfinite(d) & (d > 0)
    asked = -np.expm1(impostors.searched / (impostors.searched + 1) * np.log1p(-far))
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    step = max(1, _CHUNK // len(d))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=size) / len(people)
        weights = (drawn / count)[:, row][:, kept]
        tail = fit_tail(d[kept], weights, len(people))
        grid = distance_grid(d[kept], tail)
        p = blended(len(people), _share(d[kept], weights, grid), np.where(tail.fits[:, None], tail.p_value(grid), 1.0))
        found[start : start + size] = grid[np.maximum((p <= asked).sum(axis=1) - 1, 0)]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def blended(people: float, share: Float64, tail: Float64) -> Float64:
    """The p-value from the share observed and the tail's, elementwise."""
    n = people
    half = n * share - _CONFIDENCE
    return np.asarray(np.minimum((half + np.sqrt(half**2 + 4 * _CONFIDENCE * n * tail)) / (2 * n), 1.0))


def distance_grid(distances: Float64, tail: Tail) -> Float64:
    """Distances that a law is computed at: from where the tail is negligible to the largest observed, [g]."""
    lowest = distances[0]
    for _ in range(60):
        if (tail.p_value(np.array([lowest])) < _SMALLEST).all():
            break
        lowest *= 0.9
    return np.linspace(lowest, distances[-1], _GRID)


def written_down(grid: Float64, p: Float64) -> tuple[Float64, Float64]:
    """A law computed on a grid of distances, at about evenly spread log p-values."""
    p = np.maximum.accumulate(np.clip(p, 1e-300, 1.0))
    levels = np.geomspace(max(p[0], _SMALLEST), p[-1], _LEVELS)
    at = np.unique(np.concatenate([[0], np.minimum(np.searchsorted(p, levels), len(p) - 1), [len(p) - 1]]))
    return grid[at], p[at]


def _ascending(impostors: ImpostorDistances) -> tuple[Float64, Float64]:
    """Distances and weights by distance; equal ones by weight, so that the order of the rows changes no last digit."""
    weights = person_weights(impostors.identities)
    order = np.lexsort((weights, impostors.distances))
    return impostors.distances[order], weights[order]


def _share(distances: Float64, weights: Float64, at: Float64) -> Float64:
    """Share of people's observations within each distance, for each row of weights, [b, at]."""
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    return np.asarray(sums[:, np.searchsorted(distances, at, side="right")])


def _checked_tail(distances: Float64, weights: Float64, people: int) -> Tail | None:
    """The fitted tail; None where there is none, or where it and the observed shares differ too much."""
    kept = np.isfinite(distances) & (distances > 0)
    if people < LEAST_PEOPLE or weights[kept].sum() < 0.9:
        return None
    d, w = distances[kept], weights[kept] / weights[kept].sum()
    tail = fit_tail(d, w[None], people)
    if not tail.fits.all():
        return None
    grid = distance_grid(d, tail)
    expected, found = tail.p_value(grid)[0], _share(d, w[None], grid)[0]
    for level in _CHECKED:
        at = min(int(np.searchsorted(expected, level)), len(grid) - 1)
        # near people come in pairs, each the other's impostor: twice the variance of single events
        if abs(found[at] - expected[at]) > _LARGEST_MISFIT * np.sqrt(2 * level / people):
            return None
    return tail


def _conformal(distances: Float64, weights: Float64, people: int) -> tuple[Float64, Float64]:
    """Steps of (1 + n e) / (n + 1), from distance 0 on; thinned upwards where there are many."""
    d, last = np.unique(distances[::-1], return_index=True)
    shares = np.cumsum(weights)[len(distances) - 1 - last]
    finite = np.isfinite(d)
    at = np.concatenate([[0.0], d[finite]])
    p = np.minimum((1 + people * np.concatenate([[0.0], shares[finite]])) / (people + 1), 1.0)
    if at[1:2].sum() == 0 and len(at) > 1:  # a distance of 0 takes the place of the start
        at, p = at[1:], p[1:]
    if len(at) > 10 * _LEVELS:
        rows = np.unique(np.searchsorted(p, np.geomspace(p[0], p[-1], 10 * _LEVELS)).clip(0, len(p) - 1))
        # from each kept distance on the p-value of the next: never too small
        at, p = at[rows], np.append(p[rows[1:] - 1], p[-1])
    return at, p

"""The lower tail of impostor distances: a Gumbel law of a power of the distance.

The distance to the nearest of many is an extreme value. Which power of it follows Gumbel's law differs from encoder to
encoder and from place to place, so that each gallery's own distances choose it:

    y = -(d^k - 1) / k   (k = 0: -log d),   P(nearest <= d) = P(Y >= y) = 1 - exp(-exp(-(y - mu) / beta)).

k is the one of a grid whose y have the skewness nearest to Gumbel's, 1.14 (weighted by person), drawn towards 1/2 by
n / (n + 15) for n people. mu and beta match the law to the distances below which a share of 0.1 and of 0.6 lie: two
quantiles instead of moments, since a person enrolled twice adds distances far below all others. As a threshold is a
steep function of parameters that n people leave uncertain, its false accept rate is too large on average; the tail is
enlarged by exp(8 / n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float64

POWERS = np.arange(-4.0, 4.01, 0.5)
_SKEWNESS = 1.1395  # of Gumbel's law: 12 sqrt(6) zeta(3) / pi^3
_PRIOR_POWER = 0.5
_PRIOR_PEOPLE = 15.0
_QUANTILES = (0.1, 0.6)
_ENLARGE = 8.0


@dataclass(frozen=True)
class Tail:
    """Fitted tails, one for each row of weights.

    Attributes:
        power: k, [b].
        location: mu, [b].
        scale: beta, [b]; not above 0 or NaN where nothing could be fitted.
        people: n.
    """

    power: Float64
    location: Float64
    scale: Float64
    people: float

    @property
    def fits(self) -> Float64:
        """Whether there is a law at all, [b]."""
        return np.asarray(np.isfinite(self.location) & np.isfinite(self.scale) & (self.scale > 0))

    def p_value(self, distances: Float64) -> Float64:
        """P(nearest <= d), enlarged, [b, d]; distances above 0."""
        y = powers_of(distances, self.power[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):  # of rows without a law (`fits`), which nobody reads
            z = np.clip((y - self.location[:, None]) / self.scale[:, None], -30.0, 700.0)
        return np.asarray(np.minimum(-np.expm1(-np.exp(-z)) * np.exp(_ENLARGE / self.people), 1.0))


def powers_of(distances: Float64, power: Float64) -> Float64:
    """-(d^k - 1) / k, for broadcast distances and powers; -log d for k near 0."""
    logs = np.log(distances)
    near_zero = np.abs(power) < 1e-9
    safe = np.where(near_zero, 1.0, power)
    return np.asarray(np.where(near_zero, -logs, -np.expm1(safe * logs) / safe))


def fit_tail(distances: Float64, weights: Float64, people: float) -> Tail:
    """Fit the tail.

    Args:
        distances: ascending, finite, above 0, [m].
        weights: of the observations, one or several rows [b, m], each with sum 1.
        people: n, how many people they are of.
    """
    power = _PRIOR_POWER + (_best_power(distances, weights) - _PRIOR_POWER) * people / (people + _PRIOR_PEOPLE)
    middle = np.cumsum(weights, axis=1) - weights / 2
    at = np.array([np.interp(_QUANTILES, row, distances) for row in middle])
    low, high = (powers_of(at[:, i], power) for i in (0, 1))
    gumbel = [-np.log(-np.log1p(-q)) for q in _QUANTILES]
    scale = (low - high) / (gumbel[0] - gumbel[1])
    return Tail(power, low - scale * gumbel[0], scale, people)


def _best_power(distances: Float64, weights: Float64) -> Float64:
    """The power of the grid with the skewness nearest to Gumbel's, [b]."""
    y = powers_of(distances[:, None], POWERS[None])
    y = (y - y.mean(axis=0)) / np.maximum(y.std(axis=0), 1e-300)  # for the digits; moves no skewness
    first, second, third = (weights @ y**i for i in (1, 2, 3))
    variance = np.maximum(second - first**2, 1e-12)
    skewness = (third - 3 * first * second + 2 * first**3) / variance**1.5
    return np.asarray(POWERS[np.argmin(np.abs(skewness - _SKEWNESS), axis=1)])

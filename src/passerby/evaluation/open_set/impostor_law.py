"""The law of impostor distances: from a distance to a p-value, and from a false accept rate to a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float64
from passerby.errors import EmbeddingError

Source: TypeAlias = Literal["gallery", "encoder", "blend", "none"]
Form: TypeAlias = Literal["fitted", "empirical", "guaranteed"]
SOURCES: tuple[Source, ...] = ("gallery", "encoder", "blend", "none")
FORMS: tuple[Form, ...] = ("fitted", "empirical", "guaranteed")


@dataclass(frozen=True)
class ImpostorLaw:
    """How often somebody who is not enrolled comes this near to somebody who is.

    The p-value of a distance d is the probability that the nearest of `identities` enrolled identities is at most d
    away from an observation of a person whom nobody enrolled; each person counts once, whatever the number of images.

    Attributes:
        distances: ascending, where the law is written down.
        p_values: there, not falling. Between them log p is linear in the distance; with the forms "guaranteed" and
            "empirical" p is a step function, and stays at the value of the last distance reached.
        identities: size of the gallery that it holds for, G.
        people: how many people's observations it is made from, n; fractional where two sources were blended.
        observations: how many observations.
        source: "gallery" (its own people), "encoder" (people held out at calibration), "blend" (both), "none" (no law:
            no p-value and no threshold).
        form: "fitted" (the share observed, blended with a fitted tail), "empirical" (the fit failed its check: the
            share observed alone), "guaranteed" (conformal, nothing assumed but exchangeable people).
        conservative: share of people's observations that had to be compared within one camera.
        metric: of the distances.
    """

    distances: tuple[float, ...] = ()
    p_values: tuple[float, ...] = ()
    identities: int = 0
    people: float = 0.0
    observations: int = 0
    source: Source = "none"
    form: Form = "fitted"
    conservative: float = 0.0
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        d, p = np.array(self.distances), np.array(self.p_values)
        if len(d) != len(p) or (len(d) == 0) != (self.source == "none"):
            raise EmbeddingError(
                f"impostor law: expected as many distances as p-values (none with source 'none'), found {len(d)} and "
                f"{len(p)} with source {self.source!r}"
            )
        rising = bool((np.diff(d) > 0).all() and (np.diff(p) >= 0).all())
        if not (np.isfinite(d).all() and rising and ((p > 0) & (p <= 1)).all()):
            raise EmbeddingError("impostor law: expected finite rising distances, and rising p-values above 0 up to 1")
        if self.source not in SOURCES or self.form not in FORMS:
            raise EmbeddingError(f"impostor law: unknown source {self.source!r} or form {self.form!r}")

    @property
    def finest_far(self) -> float:
        """The smallest rate that can be asked for (infinity: none can)."""
        if self.source == "none":
            return math.inf
        return 0.0 if self.form == "fitted" else self.p_values[0]

    def extrapolated(self, far: float) -> bool:
        """Whether n * far < 1: the people are too few to show this rate, and the fitted tail alone gives it."""
        return self.source != "none" and self.form == "fitted" and self.people * far < 1 - 1e-9

    @overload
    def p_value(self, distance: float) -> float: ...
    @overload
    def p_value(self, distance: npt.NDArray[Any]) -> Float64: ...
    def p_value(self, distance: float | npt.NDArray[Any]) -> float | Float64:
        """Probability that an impostor's nearest is at most this far; 1 for infinity (nothing to compare with).

        Args:
            distance: a number or an array of them.

        Raises:
            EmbeddingError: there is no law, or a distance is NaN.
        """
        self._check()
        d = np.asarray(distance, dtype=np.float64)
        if np.isnan(d).any():
            raise EmbeddingError("p_value: expected distances, found NaN")
        p = self._steps(d) if self.form != "fitted" else self._between(d)
        return p if d.ndim else float(p)

    def _between(self, d: Float64) -> Float64:
        x, y = np.array(self.distances), np.log(self.p_values)
        inside = np.interp(d, x, y)
        if len(x) > 1:  # below the first distance the tail goes on as it began
            slope = (y[1] - y[0]) / (x[1] - x[0])
            inside = np.where(d < x[0], y[0] - slope * (x[0] - np.where(d < x[0], d, x[0])), inside)
        return np.asarray(np.where(d > x[-1], 1.0, np.exp(inside)))

    def _steps(self, d: Float64) -> Float64:
        at = np.searchsorted(self.distances, d, side="right") - 1
        return np.asarray(np.where(d == np.inf, 1.0, np.array(self.p_values)[np.maximum(at, 0)]))

    def threshold(self, far: float) -> float:
        """The distance below which (strictly) p <= far, and from which on p > far.

        0 where no distance is accepted; infinity at far = 1.

        Raises:
            EmbeddingError: there is no law, or a rate outside 0..1.
        """
        self._check()
        if not 0 <= far <= 1:
            raise EmbeddingError(f"far: expected a share between 0 and 1, found {far}")
        if far == 1:
            return math.inf
        low, high = 0.0, math.nextafter(self.distances[-1], math.inf)
        if self.p_value(low) > far:
            return 0.0
        if self.p_value(high) <= far:
            return math.inf
        # by halving down to neighbouring numbers, so that threshold and p-value agree to the last bit
        while (middle := (low + high) / 2) not in (low, high):
            low, high = (middle, high) if self.p_value(middle) <= far else (low, middle)
        return high

    def carried(self, identities: int) -> ImpostorLaw:
        """The law for a gallery of another size.

        A search among G finds somebody within d with probability 1 - (1 - p)^(G / G0), as if each identity added the
        same chance of its own. For larger galleries that is on the safe side: people whom many resemble make the true
        rate grow a little more slowly.

        Args:
            identities: G, 1 or more.

        Raises:
            EmbeddingError: there is no law, or G below 1.
        """
        self._check()
        if identities < 1:
            raise EmbeddingError(f"identities: expected 1 or more, found {identities}")
        if identities == self.identities:
            return self
        with np.errstate(divide="ignore"):
            p = -np.expm1(identities / self.identities * np.log1p(-np.array(self.p_values)))
        return replace(self, p_values=tuple(np.maximum(p, 1e-300).tolist()), identities=identities)

    def among_more(self, times: float) -> ImpostorLaw:
        """The law where a search compares with so many times the observations that it was made with.

        1 - (1 - p)^times, as if each observation added the same chance of its own: where those of one person resemble
        each other, that is on the safe side.

        Args:
            times: 1 or more.

        Raises:
            EmbeddingError: there is no law, or fewer.
        """
        self._check()
        if not times >= 1:
            raise EmbeddingError(f"times: expected 1 or more, found {times}")
        if times == 1:
            return self
        with np.errstate(divide="ignore"):
            p = -np.expm1(times * np.log1p(-np.array(self.p_values)))
        return replace(self, p_values=tuple(np.maximum(p, 1e-300).tolist()))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, ready for JSON."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        return content | {"distances": list(self.distances), "p_values": list(self.p_values)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ImpostorLaw:
        """What `to_dict` made.

        Raises:
            EmbeddingError: something is missing, unknown or not as it should be.
        """
        known = {f.name for f in fields(cls)}
        if set(content) != known:
            wrong = sorted(set(content) ^ known)
            raise EmbeddingError(f"impostor law: expected {', '.join(sorted(known))}; missing or unknown: {wrong}")
        try:
            return cls(
                distances=tuple(float(d) for d in content["distances"]),
                p_values=tuple(float(p) for p in content["p_values"]),
                identities=int(content["identities"]),
                people=float(content["people"]),
                observations=int(content["observations"]),
                source=cast(Source, content["source"]),
                form=cast(Form, content["form"]),
                conservative=float(content["conservative"]),
                metric=str(content["metric"]),
            )
        except (TypeError, ValueError) as error:
            raise EmbeddingError(f"impostor law: not numbers where numbers belong ({error})") from error

    def _check(self) -> None:
        if self.source == "none":
            raise EmbeddingError(
                "there is no law of impostor distances: enrol at least 2 people, or calibrate the encoder on people "
                "it was not trained on (`passerby calibrate`)"
            )


NO_LAW = ImpostorLaw()
"""Nobody to compare with, and no encoder's law: no p-value and no threshold."""

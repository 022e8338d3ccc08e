"""From a wanted error rate to the number of errors, and to the distance that makes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passerby.array_types import Float64
from passerby.errors import EmbeddingError
from passerby.evaluation.inputs import is_number

SIZES = (10, 30, 100, 300)
"""Numbers of enrolled people that an expected false accept rate is given for."""


def check_calibration(far: float, draws: int) -> None:
    """Refuse what no threshold can be chosen for, before any image is read.

    Raises:
        EmbeddingError: a false accept rate that is no share, or no draw.
    """
    if not 0 < far < 1:
        raise EmbeddingError(f"far: expected a share above 0 and below 1 (0.01 is 1 %), found {far:g}")
    if draws < 1:
        raise EmbeddingError(f"draws: expected at least 1, found {draws}")


def checked_rates(rates: Any, what: str, kind: str = "false accept rate") -> tuple[float, ...]:
    """One wanted error rate, or several, as shares; `kind` is what messages call one.

    Raises:
        EmbeddingError: none, or not numbers between 0 and 1.
    """
    several = tuple(rates) if isinstance(rates, (list, tuple, set, np.ndarray)) else (rates,)
    if not several:
        raise EmbeddingError(f"{what}: expected at least one {kind}, found none")
    for rate in several:
        if not is_number(rate) or not 0 <= rate <= 1:
            raise EmbeddingError(f"{what}: expected shares between 0 and 1, found {rate!r}")
    return tuple(float(rate) for rate in several)


def allowed_errors(rate: float, trials: int) -> int:
    """floor(rate * trials): how many of so many trials may go wrong."""
    # 0.29 * 100 is 28.999999999999996: the small addition keeps such products whole
    return math.floor(rate * trials + 1e-9)


def threshold_at(sorted_impostors: Float64, rate: float, trials: int | None = None) -> float:
    """The largest threshold that accepts at most floor(rate * n) of n impostors: s[floor(rate * n)], or infinity.

    Args:
        sorted_impostors: s, ascending distances; of the nearest impostors at least, one more than may be accepted.
        rate: share of impostors that may be accepted, in 0..1.
        trials: n, where there are more impostors than are given.
    """
    allowed = allowed_errors(rate, len(sorted_impostors) if trials is None else trials)
    return float(sorted_impostors[allowed]) if allowed < len(sorted_impostors) else math.inf


def far_at_size(far: float, measured: int, wanted: int) -> float:
    """False accept rate among `wanted` enrolled people of a threshold that had `far` among `measured`.

    1 - (1 - far)^(wanted / measured), as if each enrolled person added the same chance. Small rates were found to grow
    in proportion (docs/open-set.md); large ones grow more slowly than this.
    """
    if not 0 <= far < 1 or measured < 1:
        return far
    return -math.expm1(wanted / measured * math.log1p(-far))

"""From a wanted error rate to the number of errors, and to the distance that makes them."""

from __future__ import annotations

import math

from passerby.array_types import Float64


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

"""Which round's encoder is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from passerby.adaptation.result import Round


def best_round(rounds: Sequence[Round]) -> Round:
    """The round with the best score, the earliest of equal ones; or the latest one that is as good within the error.

    Each round learns from better clusters than the one before, and noise does not speak against it. The error of a
    difference of two rounds is sqrt(2) times the root mean square of all rounds' errors: an error from eight halvings
    is itself uncertain, and with their own errors a round that was measured badly would pass where a later one with a
    better score does not.

    Args:
        rounds: in order, the encoder to begin with first; at least one.
    """
    top = max(rounds, key=lambda r: (r.score, -r.number))
    error = math.sqrt(2 * float(np.mean([r.error**2 for r in rounds])))
    return [r for r in rounds if r is top or (r.number > top.number and top.score - r.score < error)][-1]

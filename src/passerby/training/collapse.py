"""Collapse: every image is mapped to the same point, where a margin loss stands at its margin without a gradient.

Hermans, Beyer, Leibe 2017, arXiv:1703.07737 describe it for batch-hard triplets: the hardest pairs come first, and
pulling everything together serves them before anything has been learnt.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

log = logging.getLogger("passerby")

COLLAPSED = 0.05
"""Spread below which there is nothing to rank. Margins are 0.1 and more; a working network's spread is 1 to 30."""


def spread(feature: Tensor) -> Tensor:
    """Mean distance of a batch's vectors [B, D] from their centre, detached; a scalar."""
    with torch.no_grad():
        x = feature.float()
        distances: Tensor = torch.linalg.vector_norm(x - x.mean(0), dim=1)
        return distances.mean()


def warn_of_collapse(value: float, *, epoch: int) -> bool:
    """Warn where a spread means collapse, in time to stop the training.

    Args:
        value: an epoch's mean spread of the vectors that the losses measure.
        epoch: 0-based; for the message.

    Returns:
        Whether there was anything to say.
    """
    if value >= COLLAPSED:
        return False
    log.warning(
        "epoch %d: the vectors of a batch have become nearly the same point (mean distance from their centre %.2g): a "
        "metric loss learns nothing there. Lower optimizer.lr, lengthen schedule.warmup_epochs, start from "
        "model.weights, or train a softmax term beside it",
        epoch + 1,
        value,
    )
    return True

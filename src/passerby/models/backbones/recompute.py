"""Time for memory: what a block computed is computed again in the backward pass, instead of being kept until then."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def through(blocks: Iterable[nn.Module], x: Tensor, *, recompute: bool) -> Tensor:
    """The blocks in a row; with `recompute`, only what stands between them is kept for the backward pass.

    Chen, Xu, Zhang, Guestrin 2016, arXiv:1604.06174. A block must draw no random numbers. Batch norm would count the
    same images twice: keep its statistics still during the backward pass (`passerby.training.step.statistics_kept`).
    """
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            x = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
        else:
            x = block(x)
    return x

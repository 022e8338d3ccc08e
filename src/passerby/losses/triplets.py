"""Triplet losses: an anchor nearer to its own identity than to others, by a margin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from passerby.losses.distances import hardest, hinge, mean_where, pair_distances
from passerby.losses.inputs import guarded


class BatchHardTripletLoss(nn.Module):
    """Batch-hard ("TriHard") triplet loss.

    Mean over anchors of [margin + d(a, p) - d(a, n)]_+: p is the farthest image of the anchor's identity in the
    batch, n the nearest of any other, d Euclidean. margin=None: log(1 + exp(d(a, p) - d(a, n))).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Hermans, Beyer, Leibe 2017, arXiv:1703.07737, eq. 5.
    Defaults: margin 0.3 (Luo et al. 2019, arXiv:1903.07071); the paper prefers the soft margin. Not normalised.
    Relations: the limit of `hap2s` for sigma -> 0 (exponential) or alpha -> infinity (polynomial); never above
        `msml`, and on P x K batches never below `triplet`, at the same margin.
    Degenerate: anchors without a positive or a negative leave the mean. A batch collapsed to a point is a plateau of
        value margin (soft: log 2) and gradient 0.

    Args:
        margin: distance by which p must be nearer than n; None for the soft margin.
    """

    reads = "feature"

    def __init__(self, margin: float | None = 0.3) -> None:
        super().__init__()
        self.margin = margin

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        anchor = torch.arange(len(x), device=x.device)
        positive, negative, valid = hardest(x, labels)
        gap = pair_distances(x, anchor, positive) - pair_distances(x, anchor, negative)
        return mean_where(valid, hinge(gap, self.margin))

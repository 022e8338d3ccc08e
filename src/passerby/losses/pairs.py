"""Pair losses: same or different, for every two images of the batch."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from passerby.losses.distances import differences, masks, over_anchors, row_blocks, short_names
from passerby.losses.inputs import check_at_least, check_below, check_choice, check_dim, flag, guarded, whole_number


class VerificationLoss(nn.Module):
    """Verification loss: two-way softmax, same or different, on the square layer.

    Cross entropy of z = W g + b with g = (x_i - x_j) * (x_i - x_j), row 0 "different" and row 1 "same", over pairs of
    the batch balanced as 1 positive to `negatives_per_positive` negatives:
    (mean over positive pairs + r mean over negative pairs) / (1 + r), r = negatives_per_positive.

    Shape: x [B, D] float, labels [B] integer -> scalar. `.weight` [2, dim], `.bias` [2].
    Source: Zheng, Zheng, Yang 2017, arXiv:1611.05666.
    Defaults: as many negatives as positives, where the authors' training begins (it ends at 4 to 1).
    Relations: the two-way softmax is a sigmoid of the difference of the two outputs.
    Degenerate: without positive pairs the mean over negative pairs alone, and the reverse; without pairs 0.
    Differs: instead of drawing pairs, all pairs of the batch are weighted, which is what drawing gives on average,
        without its noise and alike in every process; no dropout on g.

    Args:
        dim: D.
        negatives_per_positive: r, above 0.
        normalize: take unit vectors.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, dim: int, negatives_per_positive: float = 1, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        check_at_least("negatives_per_positive", negatives_per_positive, 0.0, exclusive=True)
        self.negatives_per_positive = negatives_per_positive
        layer = nn.Linear(whole_number("dim", dim, 1), 2)
        self.weight = layer.weight
        self.bias = layer.bias

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        check_dim(x, self.weight.shape[1])
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        evidence = weight[1] - weight[0], bias[1] - bias[0]
        return cast(Tensor, _SquareLayer.apply(x, *evidence, labels, self.negatives_per_positive))  # type: ignore[no-untyped-call]


class _SquareLayer(torch.autograd.Function):
    """Balanced mean over pairs of softplus(-s z), z = u . (x_i - x_j)^2 + b, s = 1 for positives, -1 for negatives.

    z is |a|^2 + |b|^2 - 2ab with the coordinates weighted by u: one product makes all of them. With the slopes
    S = dL/dz, P = S + S^T and q_i = sum_j P_ij (x_i - x_j): dL/dx_i = 2 u q_i and dL/du = sum_i x_i q_i.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, u: Tensor, b: Tensor, labels: Tensor, ratio: float) -> Tensor:
        x = x - x.mean(dim=0)
        weighted = x * u
        own = (weighted * x).sum(dim=1)
        names = short_names(labels, x.dtype)
        of_each = torch.zeros_like(labels).scatter_add_(0, names.long(), torch.ones_like(labels))
        positive_pairs = (of_each * (of_each - 1)).sum()
        negative_pairs = len(x) * (len(x) - 1) - positive_pairs
        shares = torch.where(torch.stack([positive_pairs, negative_pairs]) > 0, x.new_tensor([1.0, ratio]), 0.0)
        shares = shares / shares.sum().clamp(min=torch.finfo(x.dtype).tiny)
        each = shares / torch.stack([positive_pairs, negative_pairs]).clamp(min=1)
        total = x.new_zeros(())
        slopes = x.new_empty((len(x), len(x)))
        for rows in row_blocks(x):
            positives, negatives = masks(names, rows)
            z = torch.addmm(own, weighted[rows], x.T, alpha=-2).add_(own[rows, None] + b)
            signs = negatives - positives
            weights = each[0] * positives + each[1] * negatives
            total += (functional.softplus(signs * z) * weights).sum()
            torch.mul(z.mul_(signs).sigmoid_().mul_(signs), weights, out=slopes[rows])
        ctx.save_for_backward(*_square_layer_gradients(x, u, slopes))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        for_x, for_u, for_b = ctx.saved_tensors
        return grad * for_x, grad * for_u, grad * for_b, None, None


def _square_layer_gradients(x: Tensor, u: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    for_b = slopes.sum()
    q = differences(slopes, x)
    return 2 * u * q, (x * q).sum(dim=0), for_b


class ContrastiveLoss(nn.Module):
    """Contrastive loss over all pairs of the batch.

    Mean over unordered pairs; form="overview": d^2 for the same identity, [margin - d]_+^2 for different ones;
    form="deepid": half of each. d is Euclidean, between unit vectors if normalize.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Hadsell, Chopra, LeCun 2006 (CVPR); Sun et al. 2014 (DeepID2), arXiv:1406.4773; in re-ID Varior, Haloi, Wang
        2016, arXiv:1607.08378.
    Defaults: normalised, so d is at most 2, and margin 1; no published value fits every scale.
    Relations: deepid = overview / 2.
    Degenerate: an identity with one image has only negative pairs; one identity only positive ones; one image: 0. Two
        equal vectors of different identities are not pushed: the direction is undefined.
    Differs: pytorch-metric-learning's class of this name does not square.

    Args:
        margin: distance from which negatives are left alone; below 2 if normalize.
        form: "overview" or "deepid".
        normalize: measure unit vectors.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, margin: float = 1.0, form: str = "overview", normalize: bool = True) -> None:
        super().__init__()
        check_at_least("margin", margin, 0.0)
        self.margin = margin
        self.form = check_choice("form", form, ("overview", "deepid"))
        self.normalize = flag("normalize", normalize)
        if normalize:
            check_below("margin", margin, 2, " with normalize=True (unit vectors are at most 2 apart)")

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        pull = (d.square() * positives).sum(dim=1)
        push = ((self.margin - d).relu().square() * negatives).sum(dim=1)
        total = (pull + push) * (1.0 if self.form == "overview" else 0.5)
        return total, positives.sum(dim=1) + negatives.sum(dim=1)

"""Classification losses: one weight vector an identity."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from passerby.losses.inputs import (
    always_normalizes,
    check_at_least,
    check_below,
    check_dim,
    check_ids,
    flag,
    guarded,
    whole_number,
)


class SoftmaxLoss(nn.Module):
    """Softmax (identification) loss with optional label smoothing.

    Mean over images of -sum_c q_c log softmax_c(z), z_c = w_c . x + b_c, with q_c = (1 - e) [c = y] + e / C and
    e = label_smoothing.

    Shape: x [B, D] float, labels [B] in 0..num_ids-1 -> scalar. `.weight` [num_ids, dim], `.bias` [num_ids] or None.
    Source: Zheng, Yang, Hauptmann 2016, arXiv:1610.02984 (IDE); smoothing: Szegedy et al. 2016, arXiv:1512.00567.
    Defaults: no bias, as behind a batch-norm neck (Luo et al. 2019, arXiv:1903.07071, who smooth with 0.1).
    Relations: smoothing that spreads e over the other identities only equals ours with e C / (C - 1).
    Degenerate: none, a single image is fine.

    Args:
        num_ids: training identities, C.
        dim: D.
        label_smoothing: e, in [0, 1).
        bias: add b_c.
        normalize: take unit vectors; the class weights stay as they are.
    """

    reads = "embedding"

    def __init__(
        self, num_ids: int, dim: int, label_smoothing: float = 0.0, bias: bool = False, normalize: bool = False
    ) -> None:
        super().__init__()
        num_ids, dim = whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)
        check_at_least("label_smoothing", label_smoothing, 0.0)
        check_below("label_smoothing", label_smoothing, 1)
        self.label_smoothing = label_smoothing
        self.normalize = flag("normalize", normalize)
        # standard deviation 0.001: logits start near 0, as in the strong baseline's classifier
        self.weight = nn.Parameter(torch.randn(num_ids, dim) * 0.001)
        self.bias = nn.Parameter(torch.zeros(num_ids)) if flag("bias", bias) else None

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        check_ids(labels, self.weight.shape[0])
        check_dim(x, self.weight.shape[1])
        bias = None if self.bias is None else self.bias.to(x.dtype)
        logits = functional.linear(x, self.weight.to(x.dtype), bias)
        return functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)


class SphereSoftmaxLoss(nn.Module):
    """Sphere softmax: softmax over scaled cosines.

    Mean over images of -log softmax_y(z), z_c = scale * cos(x, w_c), no bias. Unchanged by the length of x and of
    each w_c. Lengths are floored at 1e-12.

    Shape: x [B, D] float, labels [B] in 0..num_ids-1 -> scalar. `.weight` [num_ids, dim].
    Source: Fan, Jiang, Luo, Fei 2019, SphereReID, arXiv:1807.00537.
    Defaults: scale 14, the default of a public re-implementation.
    Relations: equals `softmax` of unit vectors with unit weights times the scale; cannot fall below
        log(1 + (C - 1) exp(-scale C / (C - 1))).
    Degenerate: none, a single image is fine.

    Args:
        num_ids: training identities, C.
        dim: D.
        scale: s, above 0.
        normalize: take unit vectors; always true.
    """

    reads = "embedding"

    def __init__(self, num_ids: int, dim: int, scale: float = 14.0, normalize: bool = True) -> None:
        super().__init__()
        num_ids, dim = whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)
        self.normalize = always_normalizes(normalize)
        check_at_least("scale", scale, 0.0, exclusive=True)
        self.scale = scale
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(num_ids, dim)))

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        check_ids(labels, self.weight.shape[0])
        check_dim(x, self.weight.shape[1])
        directions = functional.normalize(self.weight.to(x.dtype))
        logits = functional.linear(self.scale * x, directions)  # [B, D] is less to scale
        return functional.cross_entropy(logits, labels)

"""Pairwise Euclidean distances of a batch with safe gradients, and the loop over anchors.

Everything that needs all B x B distances goes through `over_anchors`: the loss writes its formula for a block of
anchors in plain torch, the block's distances are made, the formula is applied and differentiated while the block is
in the processor's cache, and only the slope of each distance is kept. One product makes the distances, one turns
the slopes into the gradient of x: a plain Gram product and its backward need three. Peak memory is two B x B matrices.

Losses that only look at a few pairs find them with `hardest` (no gradient) and measure those with `pair_distances`.

Numerics: |a|^2 + |b|^2 - 2ab loses digits, so the batch is centred first, an anchor is told from its twins by
index and never by distance 0, and a squared distance within rounding error of 0 is 0, with gradient 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# A formula maps a block (distances [b, B], positives [b, B], negatives [b, B]) to what each of its anchors adds to the
# numerator and to the denominator of the loss, both [b]. Positives and negatives are masks; the anchor is in neither.
Formula = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

_BLOCK_ON_CPU = 1 << 18  # distances in a block: stays in the cache of one core
_BLOCK_ELSEWHERE = 1 << 22  # enough work for one launch on an accelerator


class Hardest(NamedTuple):
    """Per anchor the farthest positive and the nearest negative, [B] each; `valid` where both exist."""

    positive: Tensor
    negative: Tensor
    valid: Tensor


def over_anchors(x: Tensor, labels: Tensor, formula: Formula, *, squared: bool = False) -> Tensor:
    """Sum of a formula's numerators over all anchors, divided by the sum of its denominators (0 if that is 0).

    Args:
        x: [B, D] float32 or float64.
        labels: [B] integers.
        formula: see `Formula`. It must handle empty masks: no NaN, no infinity.
        squared: hand it squared distances.

    Returns:
        Scalar, differentiable once with respect to `x`.
    """
    return cast(Tensor, _OverAnchors.apply(x, labels, formula, squared))  # type: ignore[no-untyped-call]


class _OverAnchors(torch.autograd.Function):
    """Value and gradient in one pass over blocks of anchors; backward only scales."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, labels: Tensor, formula: Formula, squared: bool) -> Tensor:
        differentiate = ctx.needs_input_grad[0]
        batch = x.shape[0]
        total, count = x.new_zeros(()), x.new_zeros(())
        # d(loss)/d(x_i) = sum over j of (pull_ij + pull_ji) (x_i - x_j), with pull = slope / distance
        pull = x.new_empty((batch, batch)) if differentiate else x.new_empty(0)
        x = x - x.mean(dim=0)
        for rows, distances in distance_blocks(x):
            if not squared:
                distances.sqrt_()
            positives, negatives = masks(labels, rows)
            with torch.set_grad_enabled(differentiate):
                distances.requires_grad_(differentiate)
                terms, counts = formula(distances, positives, negatives)
                block_total = terms.sum()
            total += block_total.detach()
            count += counts.detach().sum()
            if differentiate:
                (slopes,) = torch.autograd.grad(block_total, distances)
                torch.mul(slopes, 2.0, out=pull[rows]) if squared else _divide(slopes, distances.detach(), pull[rows])
        count = count.clamp(min=1)
        if differentiate:
            pull = pull + pull.T
            ctx.save_for_backward((pull.sum(dim=1, keepdim=True) * x - pull @ x) / count)
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None, None


def distance_blocks(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of blocks of rows of `x` (centred by the caller) to all rows: (rows, [b, B])."""
    batch = x.shape[0]
    squares = x.square().sum(dim=1)
    noise = 4 * torch.finfo(x.dtype).eps * squares.max()
    size = max(1, (_BLOCK_ON_CPU if x.device.type == "cpu" else _BLOCK_ELSEWHERE) // batch)
    for start in range(0, batch, size):
        rows = slice(start, min(start + size, batch))
        block = torch.addmm(squares, x[rows], x.T, alpha=-2).add_(squares[rows, None])
        block.masked_fill_(block <= noise, 0)
        block.diagonal(start).zero_()
        yield rows, block


def masks(labels: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """Positives and negatives of the anchors in `rows`, bool [b, B] each; the anchor itself is in neither."""
    same = labels[rows, None] == labels
    negatives = ~same
    same.diagonal(rows.start).zero_()
    return same, negatives


@torch.no_grad()
def hardest(x: Tensor, labels: Tensor) -> Hardest:
    """Find the farthest positive and the nearest negative of every anchor; no gradient, ties go to any."""
    batch = x.shape[0]
    positive, negative = labels.new_empty((2, batch), dtype=torch.int64)
    valid = torch.empty_like(positive, dtype=torch.bool)
    for rows, distances in distance_blocks(x - x.mean(dim=0)):
        positives, negatives = masks(labels, rows)
        positive[rows] = distances.masked_fill(~positives, -1).argmax(dim=1)
        negative[rows] = distances.masked_fill_(~negatives, torch.inf).argmin(dim=1)
        valid[rows] = positives.any(dim=1) & negatives.any(dim=1)
    return Hardest(positive, negative, valid)


def pair_distances(x: Tensor, first: Tensor, second: Tensor, *, squared: bool = False) -> Tensor:
    """Distances of chosen pairs of rows, [n], from their differences, so that no digits are lost."""
    squares = (x.index_select(0, first) - x.index_select(0, second)).square().sum(dim=1)
    return squares if squared else safe_sqrt(squares)


def safe_sqrt(squares: Tensor) -> Tensor:
    """Square root whose gradient is 0, not infinite, at 0."""
    positive = squares > 0
    return torch.where(positive, squares, 1).sqrt() * positive


def weighted_mean(values: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Per row the mean of `values` under softmax(logits) within `mask`; 0 where the mask is empty. [b]."""
    # an all-masked row is filled before the softmax: NaN * 0 would still be NaN
    weights = logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(dim=1)
    return (weights * values).sum(dim=1) * mask.any(dim=1)


def hinge(x: Tensor, margin: float | None) -> Tensor:
    """[x + margin]_+, or the soft margin log(1 + exp(x)) if margin is None."""
    return torch.nn.functional.softplus(x) if margin is None else (x + margin).relu()


def mean_where(valid: Tensor, values: Tensor) -> Tensor:
    """Mean of the valid values, 0 (connected to the graph) if there are none."""
    return torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)


def _divide(slopes: Tensor, distances: Tensor, out: Tensor) -> None:
    torch.div(slopes, distances, out=out)
    out.masked_fill_(distances == 0, 0)

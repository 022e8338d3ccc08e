"""Pairwise Euclidean distances of a batch with safe gradients, and the loop over anchors.

Everything that needs all B x B distances goes through `over_anchors`: the loss writes its formula for a block of
anchors in plain torch, the block's distances are made, the formula is applied and differentiated while the block is
in the processor's cache, and only the slope of each distance is kept. One product makes the distances, one turns
the slopes into the gradient of x: a plain Gram product and its backward need three. Peak memory is three B x B
matrices. Losses that only look at a few pairs find them with `hardest` (no gradient) and measure those with
`pair_distances`.

Numerics: |a|^2 + |b|^2 - 2ab loses digits, so the batch is centred first, an anchor and copies of it are distinguished
by index and never by distance 0, and a squared distance within rounding error of 0 is 0, with gradient 0. Masks are
numbers, 0 or 1, because arithmetic with them runs several times faster than selection by bool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# A formula maps a block (distances [b, B], positives [b, B], negatives [b, B]) to what each of its anchors adds to the
# numerator and to the denominator of the loss, both [b]. Positives and negatives are 0 or 1; the anchor is in neither.
Formula = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

# Distances in a block: at most, and at least. On a processor they stay in the cache of one core; an accelerator wants
# enough work for one launch.
_BLOCK_ON_CPU = 1 << 18, 1 << 16
_BLOCK_ELSEWHERE = 1 << 22, 1 << 20
_TILE = 512  # rows and columns of what is transposed at once
_FAR = 1e30  # farther than any distance, in float32 too; rows that are all this far away still have a finite softmax


class Hardest(NamedTuple):
    """Per anchor, [B] each: the rows of its farthest positive and nearest negative (any row where it has none)."""

    positive: Tensor
    negative: Tensor
    has_positive: Tensor
    has_negative: Tensor


class Block(NamedTuple):
    """Some anchors against the whole batch."""

    rows: slice
    squares: Tensor  # [b, B] squared distances
    positives: Tensor  # [b, B] 0 or 1
    negatives: Tensor  # [b, B] 0 or 1


def blocks(x: Tensor, labels: Tensor, *, held: int = 8) -> Iterator[Block]:
    """Cut the anchors into blocks and measure each against the whole batch (`x` centred by the caller).

    Args:
        x: [B, D].
        labels: [B].
        held: about how many matrices of a block's size the caller needs at once; fewer make larger blocks, which
            multiply faster.
    """
    # rounding moves a squared distance by about eps (|a|^2 + |b|^2): that much is taken off, so that equal rows get 0
    squares = x.square().sum(dim=1) * (1 - 4 * torch.finfo(x.dtype).eps)
    names = short_names(labels, x.dtype)
    for rows in row_blocks(x, held=held):
        block = torch.addmm(squares, x[rows], x.T, alpha=-2).add_(squares[rows, None]).relu_()
        block.diagonal(rows.start).zero_()
        yield Block(rows, block, *masks(names, rows))


def row_blocks(x: Tensor, *, held: int = 8) -> Iterator[slice]:
    """Consecutive rows whose distances to the whole batch are a good piece of work, and much less than B x B."""
    batch = len(x)
    most, least = _BLOCK_ON_CPU if x.device.type == "cpu" else _BLOCK_ELSEWHERE
    size = max(1, min(most * 8, max(least * 8, batch * batch)) // (held * batch))
    for start in range(0, batch, size):
        yield slice(start, min(start + size, batch))


def short_names(labels: Tensor, dtype: torch.dtype) -> Tensor:
    """The identities renumbered 0, 1, ... as floating-point numbers, whose comparison fills a mask directly."""
    # torch.unique would do, but it makes the processor wait for an accelerator: the length of its result is unknown
    ordered, order = labels.sort()
    number = torch.zeros_like(labels)
    number[1:] = (ordered[1:] != ordered[:-1]).cumsum(0)
    return torch.zeros_like(labels).scatter_(0, order, number).to(dtype)


def masks(names: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """Positives and negatives of the anchors in `rows`, [b, B] each, 0 or 1."""
    negatives = names.new_empty((rows.stop - rows.start, len(names)))
    torch.ne(names[rows, None], names, out=negatives)
    positives = 1 - negatives
    positives.diagonal(rows.start).zero_()
    return positives, negatives


def over_anchors(x: Tensor, labels: Tensor, formula: Formula, *, squared: bool = False) -> Tensor:
    """Sum of a formula's numerators over all anchors, divided by the sum of its denominators where that is above 1.

    Args:
        x: [B, D] float32 or float64.
        labels: [B] integers.
        formula: see `Formula`. It must handle empty masks: no NaN, no infinity.
        squared: give it squared distances.

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
        pull = x.new_empty((batch, batch) if differentiate else 0)
        x = x - x.mean(dim=0)
        for rows, distances, positives, negatives in blocks(x, labels):
            if not squared:
                distances.sqrt_()
            with torch.set_grad_enabled(differentiate):
                distances.requires_grad_(differentiate)
                terms, counts = formula(distances, positives, negatives)
                block_total = terms.sum()
            total += block_total.detach()
            count += counts.detach().sum()
            if differentiate:
                (slopes,) = torch.autograd.grad(block_total, distances)
                factor = 2.0 if squared else _inverse(distances.detach())
                torch.mul(slopes, factor, out=pull[rows])
        count = count.clamp(min=1)
        if differentiate:
            ctx.save_for_backward(differences(pull, x).div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None, None


@torch.no_grad()
def hardest(x: Tensor, labels: Tensor) -> Hardest:
    """Find the farthest positive and the nearest negative of every anchor; no gradient, ties go to any."""
    positive, negative = labels.new_empty((2, len(x)), dtype=torch.int64)
    has_positive, has_negative = labels.new_empty((2, len(x)), dtype=torch.bool)
    for rows, squares, positives, negatives in blocks(x - x.mean(dim=0), labels, held=2):
        positive[rows], negative[rows] = farthest(squares, positives), nearest(squares, negatives)
        has_positive[rows], has_negative[rows] = positives.sum(dim=1) > 0, negatives.sum(dim=1) > 0
    return Hardest(positive, negative, has_positive, has_negative)


def farthest(distances: Tensor, mask: Tensor) -> Tensor:
    """Per row the column of the largest distance within `mask`, [b]; any column where the mask is empty."""
    return torch.add(distances, mask - 1, alpha=_FAR).argmax(dim=1)


def nearest(distances: Tensor, mask: Tensor) -> Tensor:
    """Per row the column of the smallest distance within `mask`, [b]; any column where the mask is empty."""
    return torch.sub(distances, mask - 1, alpha=_FAR).argmin(dim=1)


def sum_of_hinges(near: Tensor, far: Tensor, mask: Tensor, margin: float) -> Tensor:
    """Per row the sum over k and n of mask_n [near_k - far_n + margin]_+, in O(b B) memory.

    Args:
        near: [b, K]; fill rows that have fewer with -infinity or anything far below zero.
        far: [b, B].
        mask: [b, B], 0 or 1.
        margin: added to every difference.

    Returns:
        [b].
    """
    return cast(Tensor, _SumOfHinges.apply(near, far, mask, margin))  # type: ignore[no-untyped-call]


class _SumOfHinges(torch.autograd.Function):
    """Value and slopes together, one k at a time: autograd would keep K matrices."""

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor, mask: Tensor, margin: float) -> Tensor:
        total = far.new_zeros(len(far))
        near_slopes, far_slopes = torch.zeros_like(near), torch.zeros_like(far)
        for k in range(near.shape[1]):
            gap = (near[:, k : k + 1] + margin - far).relu_().mul_(mask)
            total += gap.sum(dim=1)
            active = gap.sign_()
            near_slopes[:, k] = active.sum(dim=1)
            far_slopes -= active
        ctx.save_for_backward(near_slopes, far_slopes)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        near_slopes, far_slopes = ctx.saved_tensors
        return grad[:, None] * near_slopes, grad[:, None] * far_slopes, None, None


def positive_distances(distances: Tensor, positives: Tensor) -> Tensor:
    """Each row's distances to its positives, [b, most positives of a row], filled up with about -1e30."""
    most = int(positives.sum(dim=1).max())
    return torch.add(distances, positives - 1, alpha=_FAR).topk(most, dim=1).values


def sum_of_all_hinges(near: Tensor, far: Tensor) -> Tensor:
    """Sum over all k and n of [near_k - far_n]_+, `near` [K] and `far` [N], in O((K + N) log K) time."""
    return cast(Tensor, _SumOfAllHinges.apply(near, far))  # type: ignore[no-untyped-call]


class _SumOfAllHinges(torch.autograd.Function):
    """Far n is below all but the first `below[n]` of the sorted near values; sums of those are read from a table."""

    @staticmethod
    def forward(ctx: Any, near: Tensor, far: Tensor) -> Tensor:
        values, order = near.sort()
        below = torch.searchsorted(values, far, right=True)
        above = (len(values) - below).to(far.dtype)
        sums = torch.cat([values.flip(0).cumsum(0).flip(0), values.new_zeros(1)])
        passed = torch.bincount(below, minlength=len(values) + 1)[:-1].cumsum(0).to(near.dtype)
        ctx.save_for_backward(torch.empty_like(passed).scatter_(0, order, passed), above)
        return (sums[below] - above * far).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        near_slopes, above = ctx.saved_tensors
        return grad * near_slopes, -grad * above


def distance_matrix(x: Tensor, *, squared: bool = False) -> Tensor:
    """All distances, [B, B], for the few formulas that do not go anchor by anchor."""
    return cast(Tensor, _DistanceMatrix.apply(x, squared))  # type: ignore[no-untyped-call]


class _DistanceMatrix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, squared: bool) -> Tensor:
        x = x - x.mean(dim=0)
        matrix = torch.cat([squares for _, squares, _, _ in blocks(x, torch.arange(len(x), device=x.device))])
        matrix = matrix if squared else matrix.sqrt_()
        ctx.squared = squared
        ctx.save_for_backward(x, matrix)
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, matrix = ctx.saved_tensors
        pull = 2 * grad if ctx.squared else grad * _inverse(matrix)
        return differences(pull, x), None


def pair_distances(x: Tensor, first: Tensor, second: Tensor, *, squared: bool = False) -> Tensor:
    """Distances of chosen pairs of rows, [n], from their differences, so that no digits are lost."""
    return cast(Tensor, _PairDistances.apply(x, first, second, squared))  # type: ignore[no-untyped-call]


class _PairDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, second: Tensor, squared: bool) -> Tensor:
        difference = x.index_select(0, first).sub_(x.index_select(0, second))
        distances: Tensor = torch.linalg.vector_norm(difference, dim=1)
        ctx.save_for_backward(difference, distances, first, second)
        ctx.rows, ctx.squared = len(x), squared
        return distances.square() if squared else distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        difference, distances, first, second = ctx.saved_tensors
        pull = difference * (2 * grad if ctx.squared else grad * _inverse(distances))[:, None]
        gradient = pull.new_zeros((ctx.rows, pull.shape[1])).index_add_(0, first, pull)
        return gradient.index_add_(0, second, pull, alpha=-1), None, None, None


def weighted_mean(values: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Per row the mean of `values` under softmax(logits) within `mask`; 0 where the mask is empty. [b]."""
    # an empty row must be finite before the softmax: NaN * 0 would still be NaN
    weights = torch.add(logits, mask - 1, alpha=_FAR).softmax(dim=1)
    return (weights * values).sum(dim=1) * (mask.sum(dim=1) > 0)


def hinge(x: Tensor, margin: float | None) -> Tensor:
    """[x + margin]_+, or the soft margin log(1 + exp(x)) if margin is None."""
    return torch.nn.functional.softplus(x) if margin is None else (x + margin).relu()


def mean_where(valid: Tensor, values: Tensor) -> Tensor:
    """Mean of the valid values, 0 (connected to the graph) if there are none."""
    return torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)


def differences(pull: Tensor, x: Tensor) -> Tensor:
    """Sum over j of (pull_ij + pull_ji) (x_i - x_j), [B, D]; `pull` [B, B] is overwritten."""
    tiles = [slice(start, start + _TILE) for start in range(0, len(x), _TILE)]
    for i, rows in enumerate(tiles):
        for columns in tiles[i:]:
            both = pull[rows, columns] + pull[columns, rows].T
            pull[rows, columns] = both
            pull[columns, rows] = both.T
    return torch.addmm(pull.sum(dim=1, keepdim=True) * x, pull, x, alpha=-1)


def _inverse(distances: Tensor) -> Tensor:
    """1 / d, and 0 where d is 0."""
    return distances / (distances.square() + torch.finfo(distances.dtype).tiny)

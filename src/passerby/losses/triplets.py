"""Triplet losses: an anchor nearer to its own identity than to others, by a margin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from passerby.losses.distances import (
    farthest,
    hardest,
    hinge,
    mean_where,
    nearest,
    over_anchors,
    pair_distances,
    positive_distances,
    sum_of_hinges,
)
from passerby.losses.inputs import check_choice, flag, guarded, number, number_or_none


class TripletLoss(nn.Module):
    """Triplet loss over all triplets of the batch.

    Mean over all (a, p, n), p another image of a's identity and n an image of any other, of
    [d(a, p) - d(a, n) + margin]_+, d Euclidean; squared=True takes squared distances, reduction="sum" the sum.
    mining="semi_hard": of each (a, p) only one n, the nearest with d(a, n) > d(a, p), or the farthest where all are
    nearer than p; the mean is over the pairs (a, p).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Weinberger, Saul 2009 (LMNN); Schroff, Kalenichenko, Philbin 2015, arXiv:1503.03832 (FaceNet: squared
        distances of unit vectors, summed; all pairs (a, p) of a batch with semi-hard negatives from the batch).
    Defaults: plain distances, not normalised, all triplets, margin 0.3 (Luo et al. 2019, arXiv:1903.07071). FaceNet's
        form is squared=True, normalize=True, mining="semi_hard", reduction="sum", and margin 0.2.
    Relations: on P x K batches never above `batch_hard_triplet` at the same margin.
    Degenerate: anchors without a positive or a negative have no triplets; without any triplet the loss is 0.
    Differs: a mean over all triplets, where FaceNet sums and some libraries divide by the number above zero. FaceNet
        does not say what a pair without a semi-hard negative does; it takes the farthest, the least hard of them.

    Args:
        margin: by how much a negative must be farther than a positive.
        squared: use squared distances.
        normalize: measure unit vectors.
        reduction: "mean" or "sum".
        mining: "all" or "semi_hard".
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        margin: float = 0.3,
        squared: bool = False,
        normalize: bool = False,
        reduction: str = "mean",
        mining: str = "all",
    ) -> None:
        super().__init__()
        self.margin = number("margin", margin)
        self.squared = flag("squared", squared)
        self.normalize = flag("normalize", normalize)
        self.reduction = check_choice("reduction", reduction, ("mean", "sum"))
        self.mining = check_choice("mining", mining, ("all", "semi_hard"))

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block, squared=self.squared)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        near = positive_distances(d, positives)
        if self.mining == "all":
            total, count = sum_of_hinges(near, d, negatives, self.margin), _triplets(positives, negatives)
        else:
            total, count = _semi_hard(near, d, negatives, self.margin)
        return total, count if self.reduction == "mean" else torch.zeros_like(total)


class ImprovedTripletLoss(nn.Module):
    """Improved triplet loss: the triplet loss plus the distance of the positive itself.

    Mean over all (a, p, n) of d(a, p) + [d(a, p) - d(a, n) + margin]_+, d Euclidean.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: overview form of the idea of Cheng et al. 2016 (CVPR, multi-channel parts), whose own formula is
        `thresholded_triplet`.
    Defaults: margin 0.3, as `triplet`.
    Relations: `triplet` plus the mean of d(a, p) over the triplets.
    Degenerate: as `triplet`.

    Args:
        margin: by how much a negative must be farther than a positive.
        normalize: measure unit vectors, as the overview defines its distances.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, margin: float = 0.3, normalize: bool = False) -> None:
        super().__init__()
        self.margin = number("margin", margin)
        self.normalize = flag("normalize", normalize)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        total = sum_of_hinges(positive_distances(d, positives), d, negatives, self.margin)
        return total + (d * positives).sum(dim=1) * negatives.sum(dim=1), _triplets(positives, negatives)


class ThresholdedTripletLoss(nn.Module):
    """Improved triplet loss of Cheng et al., with thresholds on both of its terms.

    Mean over all (a, p, n) of max(d(a, p) - d(a, n), tau1) + beta max(d(a, p), tau2), d the squared Euclidean distance
    (squared=False: plain).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Cheng, Gong, Zhou, Wang, Zheng 2016 (CVPR), Person Re-Identification by Multi-Channel Parts-Based CNN with
        Improved Triplet Loss Function.
    Relations: with beta = 0 it is the squared `triplet` of margin -tau1, plus tau1: the value can be negative.
    Degenerate: as `triplet`.

    Args:
        tau1: where the difference stops mattering, below 0; -margin of the triplet loss.
        tau2: positives nearer than this are near enough.
        beta: weight of the absolute term.
        squared: use squared distances.
        normalize: measure unit vectors.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        tau1: float = -1.0,
        tau2: float = 0.01,
        beta: float = 0.002,
        squared: bool = True,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        self.tau1 = number("tau1", tau1)
        self.tau2 = number("tau2", tau2)
        self.beta = number("beta", beta)
        self.squared = flag("squared", squared)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block, squared=self.squared)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        triplets = _triplets(positives, negatives)
        # max(gap, tau1) = [gap - tau1]_+ + tau1
        relative = sum_of_hinges(positive_distances(d, positives), d, negatives, -self.tau1) + self.tau1 * triplets
        absolute = (d.clamp(min=self.tau2) * positives).sum(dim=1) * negatives.sum(dim=1)
        return relative + self.beta * absolute, triplets


class BatchHardTripletLoss(nn.Module):
    """Batch-hard ("TriHard") triplet loss.

    Mean over anchors of [margin + d(a, p) - d(a, n)]_+: p is the farthest image of the anchor's identity in the
    batch, n the nearest of any other, d Euclidean. margin=None: log(1 + exp(d(a, p) - d(a, n))).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Hermans, Beyer, Leibe 2017, arXiv:1703.07737, eq. 5.
    Defaults: margin 0.3 (Luo et al. 2019, arXiv:1903.07071); the paper prefers the soft margin and does not normalise.
    Relations: the limit of `hap2s` for sigma -> 0 (exponential) or alpha -> infinity (polynomial); never above
        `msml`, and on P x K batches never below `triplet`, at the same margin.
    Degenerate: anchors without a positive or a negative leave the mean. A batch collapsed to a point is a plateau of
        value margin (soft: log 2) and gradient 0.

    Args:
        margin: distance by which p must be nearer than n; None for the soft margin.
        normalize: measure unit vectors, as the overview defines its distances.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, margin: float | None = 0.3, normalize: bool = False) -> None:
        super().__init__()
        self.margin = number_or_none("margin", margin)
        self.normalize = flag("normalize", normalize)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        anchor = torch.arange(len(x), device=x.device)
        found = hardest(x, labels)
        gap = pair_distances(x, anchor, found.positive) - pair_distances(x, anchor, found.negative)
        return mean_where(found.has_positive & found.has_negative, hinge(gap, self.margin))


class MarginSampleMiningLoss(nn.Module):
    """Margin sample mining loss: the hardest positive against the hardest negative pair of the whole batch.

    [max over positive pairs of d - min over negative pairs of d + margin]_+, d Euclidean: one term a batch. The two
    pairs may or may not share an image.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Xiao, Luo, Zhang 2017, arXiv:1710.00478.
    Defaults: margin 0.3 on raw vectors, as `batch_hard_triplet`; the authors' code normalises, with margin 0.6.
    Relations: never below `batch_hard_triplet` at the same margin.
    Degenerate: 0 without a positive or without a negative pair. At most four images get a gradient, and one wrong label
        dominates: add a classification loss.

    Args:
        margin: by how much the nearest negative pair must be farther than the farthest positive pair.
        normalize: measure unit vectors.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, margin: float = 0.3, normalize: bool = False) -> None:
        super().__init__()
        self.margin = number("margin", margin)
        self.normalize = flag("normalize", normalize)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        found = hardest(x, labels)
        anchor = torch.arange(len(x), device=x.device)
        with torch.no_grad():
            to_positive = pair_distances(x, anchor, found.positive).where(found.has_positive, -torch.inf)
            to_negative = pair_distances(x, anchor, found.negative).where(found.has_negative, torch.inf)
        ends = torch.stack([to_positive.argmax(), to_negative.argmin()])
        pairs = pair_distances(x, ends, torch.cat([found.positive[ends[:1]], found.negative[ends[1:]]]))
        exists = found.has_positive.any() & found.has_negative.any()
        return torch.where(exists, (pairs[0] - pairs[1] + self.margin).relu(), 0)


def _triplets(positives: Tensor, negatives: Tensor) -> Tensor:
    """Number of triplets of each anchor, [b]."""
    return positives.sum(dim=1) * negatives.sum(dim=1)


def _semi_hard(near: Tensor, d: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Per anchor the sum over its positives of [near - d(a, n) + margin]_+ with their semi-hard n, and their number.

    Args:
        near: [b, K] distances to positives, filled up far below zero.
        d: [b, B] distances.
        negatives: [b, B], 0 or 1.
        margin: added to every difference.
    """
    total, count = d.sum(dim=1) * 0, d.new_zeros(len(d))  # connected to the graph even without a positive
    has_negative = negatives.sum(dim=1) > 0
    easiest = farthest(d.detach(), negatives)
    for k in range(near.shape[1]):
        beyond = negatives * (d.detach() > near[:, k : k + 1].detach())
        column = torch.where(beyond.sum(dim=1) > 0, nearest(d.detach(), beyond), easiest)
        valid = has_negative & (near[:, k] >= 0)
        gap = near[:, k] - d.gather(1, column[:, None])[:, 0] + margin
        total = total + torch.where(valid, gap, 0).relu()
        count = count + valid
    return total, count

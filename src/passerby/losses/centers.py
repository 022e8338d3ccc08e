"""Losses around one point an identity: stored centres, or the means of the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from passerby.losses.distances import blocks, hardest, pair_distances
from passerby.losses.inputs import (
    check_at_least,
    check_choice,
    check_dim,
    check_ids,
    flag,
    guarded,
    number,
    whole_number,
)


class CenterLoss(nn.Module):
    """Center loss, with centres that move by the paper's rule.

    1/2 mean over images of |x - c_y|^2; form="half_sum" sums instead, form="mean" is the mean without the 1/2.
    In training mode the centres of the identities in the batch then move:
    c_j <- c_j - alpha sum over images of j of (c_j - x) / (1 + n_j), n_j their number. In eval mode nothing moves.

    Shape: x [B, D] float, labels [B] in 0..num_ids-1 -> scalar. `.centers` [num_ids, dim] is a buffer.
    Source: Wen, Zhang, Li, Qiao 2016 (ECCV), A Discriminative Feature Learning Approach for Deep Face Recognition.
    Defaults: alpha 0.5; half_mean, which the authors' released net uses and which does not depend on the batch size.
    Relations: half_sum = B half_mean, mean = 2 half_mean; `center_invariant` learns its centres by gradient.
    Degenerate: none, a single image is fine.
    Differs: the strong baseline (Luo et al. 2019) uses "mean" and moves the centres by SGD. Several processes move
        their copies alike, because each sees the global batch.

    Args:
        num_ids: training identities.
        dim: D.
        alpha: step of the centres.
        form: "half_mean", "half_sum" or "mean".
        normalize: take unit vectors.
    """

    reads = "feature"
    centers: Tensor

    def __init__(
        self, num_ids: int, dim: int, alpha: float = 0.5, form: str = "half_mean", normalize: bool = False
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        check_at_least("alpha", alpha, 0.0)
        self.alpha = alpha
        self.form = check_choice("form", form, ("half_mean", "half_sum", "mean"))
        self.register_buffer("centers", torch.randn(whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)))

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch with the centres as they were; in training mode the centres move afterwards."""
        check_ids(labels, self.centers.shape[0])
        check_dim(x, self.centers.shape[1])
        squares = (x - self.centers[labels].to(x.dtype)).square().sum(dim=1)
        if self.training:
            self._move(x.detach(), labels)
        if self.form == "half_sum":
            return squares.sum() / 2
        return squares.mean() / (2 if self.form == "half_mean" else 1)

    @torch.no_grad()
    def _move(self, x: Tensor, labels: Tensor) -> None:
        present, inverse, number = torch.unique(labels, return_inverse=True, return_counts=True)
        old = self.centers[present].to(x.dtype)
        n = number[:, None].to(x.dtype)
        sums = torch.zeros_like(old).index_add_(0, inverse, x)
        self.centers[present] = (old - self.alpha * (n * old - sums) / (1 + n)).to(self.centers.dtype)


class CenterInvariantLoss(nn.Module):
    """Center-invariant loss: a center loss whose centres are also kept at equal lengths.

    center_weight / 2 mean over images of |x - c_y|^2
    + weight / 4 mean over images of (|c_y|^2 - mean over all identities of |c_k|^2)^2.

    Shape: x [B, D] float, labels [B] in 0..num_ids-1 -> scalar. `.centers` [num_ids, dim] learn by gradient.
    Source: Wu, Liu, Li, Fu 2017 (ACM MM Thematic Workshops), Deep Face Recognition with Center Invariant Loss.
    Defaults: both weights 1; no verified values.
    Relations: with weight = 0 the value of `center` (half_mean).
    Degenerate: one identity, or centres of equal length: the second term is 0 with gradient 0.
    Differs: the second term is a mean over the images of the batch, so frequent identities count more; labels
        0..num_ids-1, once each, make it a mean over identities.

    Args:
        num_ids: training identities.
        dim: D.
        center_weight: of the center term.
        weight: of the invariance term.
        normalize: take unit vectors; the centres stay as they are.
    """

    reads = "feature"

    def __init__(
        self, num_ids: int, dim: int, center_weight: float = 1.0, weight: float = 1.0, normalize: bool = False
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        self.center_weight = number("center_weight", center_weight)
        self.invariance_weight = number("weight", weight)
        self.centers = nn.Parameter(torch.randn(whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)))

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        check_ids(labels, self.centers.shape[0])
        check_dim(x, self.centers.shape[1])
        centers = self.centers.to(x.dtype)
        lengths = centers.square().sum(dim=1)
        center = (x - centers[labels]).square().sum(dim=1).mean() / 2
        invariance = (lengths[labels] - lengths.mean()).square().mean() / 4
        return self.center_weight * center + self.invariance_weight * invariance


class RangeLoss(nn.Module):
    """Range loss: shrink the largest ranges within identities, push the two nearest batch means apart.

    alpha sum over identities of k / sum_j (1 / D_j) + beta [margin - min over pairs of identities of D(mean, mean)]_+:
    D_1..D_k are the k largest distances between two images of the identity in the batch, D the squared Euclidean
    distance (squared=False: plain).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Zhang, Fang, Wen, Li, Qiao 2017, arXiv:1611.08976.
    Defaults: k = 2 is the paper's; margin, alpha and beta depend on the scale of the vectors and are the caller's.
    Degenerate: an identity with fewer than k pairs uses those it has, with one image none (its mean still counts);
        a range of 0 makes the harmonic mean 0, and the identity is skipped. One identity: no second term.

    Args:
        k: ranges an identity.
        margin: at which two means are far enough.
        alpha: weight of the first term, a sum over the identities of the batch.
        beta: weight of the second term.
        squared: use squared distances in both.
        normalize: measure unit vectors (the means of an identity are then of unit vectors).
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        k: int = 2,
        margin: float = 1.0,
        alpha: float = 1.0,
        beta: float = 1.0,
        squared: bool = True,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        self.k = whole_number("k", k, 1)
        self.margin = number("margin", margin)
        self.alpha = number("alpha", alpha)
        self.beta = number("beta", beta)
        self.squared = flag("squared", squared)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        _, identity, number = torch.unique(labels, return_inverse=True, return_counts=True)
        first, second = _largest_ranges(x, identity, self.k)
        ranges = pair_distances(x, first, second, squared=self.squared)
        positive = ranges > 0
        inverse = positive / torch.where(positive, ranges, 1)
        per_identity = ranges.new_zeros((3, len(number)))
        owner = identity[first]
        taken, harmonic, zeros = (
            per_identity[i].index_add(0, owner, values)
            for i, values in enumerate((torch.ones_like(ranges), inverse, (~positive).to(x.dtype)))
        )
        counted = (taken > 0) & (zeros == 0)
        intra = (counted * taken / torch.where(counted, harmonic, 1)).sum()
        return self.alpha * intra + self.beta * self._inter(x, identity, number)

    def _inter(self, x: Tensor, identity: Tensor, number: Tensor) -> Tensor:
        """[margin - the smallest distance of two identities' means]_+, 0 for one identity."""
        if len(number) < 2:
            return x.new_zeros(())
        means = x.new_zeros((len(number), x.shape[1])).index_add(0, identity, x) / number[:, None]
        each = torch.arange(len(means), device=x.device)
        nearest = hardest(means, each).negative
        with torch.no_grad():
            closest = pair_distances(means, each, nearest).argmin()[None]
        gap = pair_distances(means, closest, nearest[closest], squared=self.squared)
        return (self.margin - gap).relu().sum()


@torch.no_grad()
def _largest_ranges(x: Tensor, identity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Rows of the k most distant pairs of images of every identity (fewer where it has fewer), [n] each."""
    parts = []
    for rows, squares, positives, _ in blocks(x - x.mean(dim=0), identity):
        first, second = torch.nonzero(positives.triu(rows.start + 1), as_tuple=True)
        parts.append((first + rows.start, second, squares[first, second]))
    first, second, squares = (torch.cat(part) for part in zip(*parts, strict=True))
    order = squares.argsort(descending=True)
    order = order[identity[first[order]].argsort(stable=True)]  # by identity, and within it by falling distance
    owner = identity[first[order]]
    place = torch.arange(len(owner), device=x.device)
    begins = torch.searchsorted(owner, owner)  # where the run of the same identity begins
    chosen = order[place - begins < k]
    return first[chosen], second[chosen]

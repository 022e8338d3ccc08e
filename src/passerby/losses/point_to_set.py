"""Point-to-set losses: an anchor against all its positives and all negatives, the hard ones weighing most."""

from __future__ import annotations

from torch import Tensor, nn

from passerby.losses.distances import hinge, over_anchors, weighted_mean
from passerby.losses.inputs import check_at_least, check_choice, flag, guarded, number_or_none


class HAP2SLoss(nn.Module):
    """Hard-aware point-to-set loss.

    Mean over anchors of [D(a, P) - D(a, N) + margin]_+ (margin=None: log(1 + exp(D(a, P) - D(a, N)))), with
    D(a, S) = sum over S of w d / sum over S of w, d Euclidean, P the positives and N the negatives of a.
    weighting="exponential": w = exp(d / sigma) over P, exp(-d / sigma) over N.
    weighting="polynomial": w = (1 + d)^alpha over P, (1 + d)^(-2 alpha) over N.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Yu, Dou, Bai, Zhang, Xu, Bai 2018, arXiv:1807.11206.
    Defaults: sigma 0.5 and alpha 10; margin 0.3 as `batch_hard_triplet`, because sources disagree about the margin.
    Relations: sigma -> 0 or alpha -> infinity is `batch_hard_triplet`; sigma -> infinity and alpha -> 0 both compare
        plain means; sigma = 1 is `adaptive_weighted_triplet`.
    Degenerate: anchors without a positive or a negative leave the mean.
    Note: the full gradient pushes away positives nearer than D(a, P) - sigma; detach_weights=True treats w as
        constants, which does not.

    Args:
        weighting: "exponential" or "polynomial".
        sigma: how soft the exponential weights are.
        alpha: how hard the polynomial weights are.
        margin: by which D(a, P) must be below D(a, N); None for the soft margin.
        detach_weights: no gradient through the weights.
        normalize: measure unit vectors.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        weighting: str = "exponential",
        sigma: float = 0.5,
        alpha: float = 10.0,
        margin: float | None = 0.3,
        detach_weights: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        check_at_least("sigma", sigma, 0.0, exclusive=True)
        check_at_least("alpha", alpha, 0.0)
        self.weighting = check_choice("weighting", weighting, ("exponential", "polynomial"))
        self.sigma = sigma
        self.alpha = alpha
        self.margin = number_or_none("margin", margin)
        self.detach_weights = flag("detach_weights", detach_weights)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        weighed = d.detach() if self.detach_weights else d
        if self.weighting == "exponential":
            hard = weighed / self.sigma
            easy = -hard
        else:
            hard = self.alpha * weighed.log1p()
            easy = -2 * hard
        gap = weighted_mean(d, hard, positives) - weighted_mean(d, easy, negatives)
        valid = (positives.sum(dim=1) > 0) & (negatives.sum(dim=1) > 0)
        return hinge(gap, self.margin) * valid, valid


class AdaptiveWeightedTripletLoss(nn.Module):
    """Adaptive-weighted triplet loss.

    Mean over anchors of log(1 + exp(sum_p w_p d(a, p) - sum_n w_n d(a, n))), w_p the softmax of d over the positives,
    w_n the softmax of -d over the negatives, d Euclidean; a margin m makes it [... + m]_+.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Ristani, Tomasi 2018, arXiv:1803.10859.
    Defaults: the soft margin of the authors' training script.
    Relations: is `hap2s` (exponential) with sigma = 1.
    Degenerate: as `hap2s`.
    Differs: the anchor is not one of its positives, as in the authors' code and unlike some ports of it.

    Args:
        margin: None for the soft margin.
        normalize: measure unit vectors.
        detach_weights: no gradient through the weights.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(self, margin: float | None = None, normalize: bool = False, detach_weights: bool = False) -> None:
        super().__init__()
        self.hap2s = HAP2SLoss(
            "exponential", sigma=1.0, margin=margin, detach_weights=detach_weights, normalize=normalize
        )

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        loss: Tensor = self.hap2s(x, labels)
        return loss

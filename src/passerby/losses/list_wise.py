"""List-wise losses: every positive within a radius, negatives outside and the nearest of them first."""

from __future__ import annotations

from torch import Tensor, nn

from passerby.losses.distances import over_anchors, weighted_mean
from passerby.losses.inputs import always_normalizes, check_at_least, check_choice, flag, guarded, number


class RankedListLoss(nn.Module):
    """Ranked list loss (RLL).

    Mean over anchors of L_P + balance L_N (combine="sum"), or (1 - balance) L_P + balance L_N (combine="convex"), d the
    distance of unit vectors:
    L_P = mean over the positives with d > alpha - margin of d - (alpha - margin);
    L_N = sum of w (alpha - d) / sum of w over the negatives with d < alpha, w = exp(temperature (alpha - d)).

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Wang, Hua, Kodirov, Hu, Garnier, Robertson 2019, arXiv:1903.03238; "convex" is the journal version, which
        has balance 0.5.
    Defaults: alpha 1.2, margin 0.4, temperature 10 from the authors' tables; balance 1.
    Relations: `lin` is the case alpha = 2, margin = 2 - radius, except that its L_P counts all positives; convex with
        0.5 is half of sum with 1; unchanged by scaling x.
    Degenerate: a part with nothing in it is 0 and the anchor still counts.
    Note: the authors treat w as constants; detach_weights=True does so, the default differentiates everything, as
        public ports do.

    Args:
        alpha: distance at which negatives are far enough.
        margin: positives closer than alpha - margin are near enough.
        temperature: how much the nearest negatives dominate.
        balance: weight of L_N.
        combine: "sum" or "convex".
        detach_weights: no gradient through w.
        normalize: measure unit vectors; always true.
    """

    reads = "embedding"
    needs_pairs = True

    def __init__(
        self,
        alpha: float = 1.2,
        margin: float = 0.4,
        temperature: float = 10.0,
        balance: float = 1.0,
        combine: str = "sum",
        detach_weights: bool = False,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.normalize = always_normalizes(normalize)
        check_at_least("temperature", temperature, 0.0)
        self.alpha = number("alpha", alpha)
        self.margin = number("margin", margin)
        self.temperature = temperature
        self.balance = number("balance", balance)
        self.combine = check_choice("combine", combine, ("sum", "convex"))
        self.detach_weights = flag("detach_weights", detach_weights)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        too_far = (d - (self.alpha - self.margin)).relu() * positives
        pull = too_far.sum(dim=1) / too_far.detach().sign().sum(dim=1).clamp(min=1)
        too_near = (self.alpha - d).relu()
        logits = self.temperature * (too_near.detach() if self.detach_weights else too_near)
        push = weighted_mean(too_near, logits, negatives * too_near.detach().sign())
        share = 1.0 if self.combine == "sum" else 1 - self.balance
        return share * pull + self.balance * push, d.new_ones(len(d))


class LinLoss(nn.Module):
    """Lin loss: ranking-driven feature learning on the unit sphere.

    Mean over anchors of Lp + Ln, d the distance of unit vectors, r = radius, T = temperature:
    Lp = mean over positives of [d - r]_+;
    Ln = sum over negatives of W [2 - d]_+ / sum of W, with W = exp(-d) exp(T (2 - d)).
    form="code" weighs with W = exp(T (2 - d)), as the released code does.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Zhang, Ranking and Classification-driven Feature Learning for Person Re-identification, eq. 1-6.
    Defaults: radius 0.7 and temperature 1 are the paper's, which trains softmax + 0.4 Lin.
    Relations: paper(T) = code(T + 1); Lin(r, T) = `ranked_list`(alpha=2, margin=2 - r, T + 1) if every positive is
        farther than r; unchanged by scaling x.
    Degenerate: a missing part is 0 and the anchor still counts. Never 0 while there are negatives: they would all have
        to be antipodal.
    Differs: the released code adds 1e-5 to its denominators.
    Note: with the full gradient, negatives with (T + 1) (Ln - (2 - d)) > 1 ("code": T) are pulled in, through the sum
        of weights; detach_weights=True treats W as constants, so that every negative is pushed. The value is the same.

    Args:
        radius: distance within which positives are not pulled further.
        temperature: T, how much the nearest negatives dominate.
        form: "paper" or "code".
        detach_weights: no gradient through W.
        normalize: measure unit vectors; always true.
    """

    reads = "embedding"
    needs_pairs = True

    def __init__(
        self,
        radius: float = 0.7,
        temperature: float = 1.0,
        form: str = "paper",
        detach_weights: bool = False,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.normalize = always_normalizes(normalize)
        check_at_least("radius", radius, 0.0)
        check_at_least("temperature", temperature, 0.0)
        self.radius = radius
        self.temperature = temperature
        self.form = check_choice("form", form, ("paper", "code"))
        self.detach_weights = flag("detach_weights", detach_weights)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return over_anchors(x, labels, self._block)

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        number = positives.sum(dim=1)
        pull = ((d - self.radius).relu() * positives).sum(dim=1) / number.clamp(min=1)
        slope = self.temperature + (self.form == "paper")  # exp(-d) exp(T (2 - d)) is exp(-(T + 1) d) times a constant
        push = weighted_mean((2 - d).relu(), -slope * (d.detach() if self.detach_weights else d), negatives)
        return pull + push, d.new_ones(len(d))

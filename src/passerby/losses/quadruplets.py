"""Quadruplet loss: the triplet, and a pair of two other identities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from passerby.losses.distances import (
    blocks,
    distance_matrix,
    farthest,
    mean_where,
    nearest,
    over_anchors,
    pair_distances,
    positive_distances,
    sum_of_all_hinges,
    sum_of_hinges,
)
from passerby.losses.inputs import check_choice, flag, guarded, nothing, number


class QuadrupletLoss(nn.Module):
    """Quadruplet loss: a strong push as in the triplet loss, and a weak one between two other identities.

    mining="all": mean over triplets of [d(a, p) - d(a, n) + alpha]_+ plus mean over quadruplets of
    [d(a, p) - d(n1, n2) + beta]_+; a, n1 and n2 are of three different identities, d is Euclidean.
    mining="hard": the same terms averaged over anchors, each with its farthest positive, its nearest negative, and the
    nearest two images of two other identities.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Chen, Chen, Zhang, Huang 2017, arXiv:1704.01719.
    Defaults: alpha 1 and beta 0.5 for raw distances; the paper only asks for beta < alpha.
    Relations: without the weak push, "all" is `triplet` and "hard" is `batch_hard_triplet`, with margin alpha.
    Degenerate: anchors without a positive or a negative leave the mean; fewer than three identities: no weak push.
    Differs: the paper squares a learned similarity and adapts its margins to the batch; the two means of "all" are
        separate, or the far more numerous quadruplets would drown the triplets.

    Args:
        alpha: margin of the strong push.
        beta: margin of the weak push.
        mining: "hard" or "all".
        squared: use squared distances.
        normalize: measure unit vectors, as the overview defines its distances; d is then at most 2.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.5,
        mining: str = "hard",
        squared: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = flag("normalize", normalize)
        self.alpha = number("alpha", alpha)
        self.beta = number("beta", beta)
        self.mining = check_choice("mining", mining, ("hard", "all"))
        self.squared = flag("squared", squared)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return self._hard(x, labels) if self.mining == "hard" else self._all(x, labels)

    def _hard(self, x: Tensor, labels: Tensor) -> Tensor:
        found = _mine(x, labels)
        anchor = torch.arange(len(x), device=x.device)
        to_positive = pair_distances(x, anchor, found.positive, squared=self.squared)
        to_negative = pair_distances(x, anchor, found.negative, squared=self.squared)
        between = pair_distances(x, found.first, found.second, squared=self.squared)[found.case]
        strong = mean_where(found.strong, (to_positive - to_negative + self.alpha).relu())
        weak = mean_where(found.weak, (to_positive - between + self.beta).relu())
        return strong + weak

    def _all(self, x: Tensor, labels: Tensor) -> Tensor:
        strong = over_anchors(x, labels, self._strong_block, squared=self.squared)
        return strong + _weak_push(distance_matrix(x, squared=self.squared), labels, self.beta)

    def _strong_block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        total = sum_of_hinges(positive_distances(d, positives), d, negatives, self.alpha)
        return total, positives.sum(dim=1) * negatives.sum(dim=1)


class _Mined(NamedTuple):
    """What "hard" mining finds, per anchor [B]; `case` says which of the three (first, second) is the anchor's."""

    positive: Tensor
    negative: Tensor
    first: Tensor
    second: Tensor
    case: Tensor
    strong: Tensor
    weak: Tensor


@torch.no_grad()
def _mine(x: Tensor, labels: Tensor) -> _Mined:
    """Hardest positive and negative of every anchor, and the nearest pair that does not touch its identity.

    The nearest pair of the batch, of identities A and B say, serves all other identities. A and B need a pair each,
    which is found among every image's nearest negative and its nearest of any identity but that one's.
    """
    parts = []
    for _, squares, positives, negatives in blocks(x - x.mean(dim=0), labels, held=4):
        first = nearest(squares, negatives)
        others = negatives * (labels[first, None] != labels)
        second = nearest(squares, others)
        to_first, to_second = (
            torch.where(mask.sum(dim=1) > 0, squares.gather(1, column[:, None])[:, 0], torch.inf)
            for mask, column in ((negatives, first), (others, second))
        )
        parts.append((farthest(squares, positives), positives.sum(dim=1) > 0, first, to_first, second, to_second))
    positive, has_positive, first, to_first, second, to_second = (torch.cat(part) for part in zip(*parts, strict=True))
    row = to_first.argmin()
    ends, exists = [(row, first[row])], [to_first[row] < torch.inf]
    for identity in labels[row], labels[first[row]]:
        touches = labels[first] == identity
        column = torch.where(touches, second, first)
        distance = torch.where(touches, to_second, to_first).where(labels != identity, torch.inf)
        best = distance.argmin()
        ends.append((best, column[best]))
        exists.append(distance[best] < torch.inf)
    case = torch.where(labels == labels[row], 1, torch.where(labels == labels[first[row]], 2, 0))
    left, right = (torch.stack(end) for end in zip(*ends, strict=True))
    strong = has_positive & (to_first < torch.inf)
    return _Mined(positive, first, left, right, case, strong, has_positive & torch.stack(exists)[case])


def _weak_push(d: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Mean over quadruplets of [d(a, p) - d(n1, n2) + beta]_+, without listing them.

    For the positive pairs of one identity: all negative pairs, less those that touch the identity.
    """
    same = labels[:, None] == labels
    first, second = torch.nonzero(same.triu(1), as_tuple=True)
    thresholds, owner = d[first, second] + beta, labels[first]
    between = d[(~same).triu(1)]
    total, count = sum_of_all_hinges(thresholds, between), len(thresholds) * len(between)
    for identity in torch.unique(owner):
        rows = labels == identity
        mine, touching = thresholds[owner == identity], d[rows][:, ~rows].flatten()
        total = total - sum_of_all_hinges(mine, touching)
        count -= len(mine) * len(touching)
    return total / count if count else nothing(d)

"""Neighbourhood losses: the nearest images of the batch should be of the anchor's identity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from passerby.losses.distances import (
    blocks,
    farthest,
    mean_where,
    nearest,
    over_anchors,
    pair_distances,
)
from passerby.losses.inputs import always_normalizes, check_at_least, check_choice, guarded, number, whole_number


class SupportNeighborLoss(nn.Module):
    """Support neighbor (SN) loss.

    Mean over anchors of separation + weight squeeze. Among the `neighbors` nearest other images of the batch, S+ are
    the anchor's positives and S- its negatives; if S+ is empty it is the nearest positive. d is the Euclidean distance
    of unit vectors.
    separation = -log(sum over S+ of exp(-sigma d) / sum over S+ and S- of exp(-sigma d));
    squeeze="gap_all": the farthest of all positives minus the smallest d in S+; "gap": largest minus smallest d in S+;
    "pair": the distance between the two images of "gap_all"; "nearest": the smallest d in S+.

    Shape: x [B, D] float, labels [B] integer -> scalar.
    Source: Li, Ding, Li, Zhang, Fu 2018, arXiv:1808.06030.
    Defaults: neighbors 10, sigma 50 and weight 0.1 as in the authors' script; squeeze "gap_all": the abstract sets the
        anchor's nearest positive against its furthest positive sample. The released code computes "gap", which looks
        for the furthest among the neighbours only, and then overwrites it with "nearest". 0.1 had "gap".
    Relations: unchanged by scaling x.
    Degenerate: anchors without a positive leave the mean; without a negative among the neighbours the separation is 0.
        Fewer other images than `neighbors`: all of them. Ties at the border go to the image that comes first in the
        batch (the authors' code drops them).

    Args:
        neighbors: how many of the nearest images count.
        sigma: sharpness of the separation.
        weight: of the squeeze term.
        squeeze: "gap_all", "gap", "pair" or "nearest".
        normalize: measure unit vectors; always true.
    """

    reads = "feature"
    needs_pairs = True

    def __init__(
        self,
        neighbors: int = 10,
        sigma: float = 50.0,
        weight: float = 0.1,
        squeeze: str = "gap_all",
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.normalize = always_normalizes(normalize)
        self.neighbors = whole_number("neighbors", neighbors, 1)
        check_at_least("sigma", sigma, 0.0)
        self.sigma = sigma
        self.squeeze_weight = number("weight", weight)
        self.squeeze = check_choice("squeeze", squeeze, ("gap", "gap_all", "pair", "nearest"))

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        loss = over_anchors(x, labels, self._block)
        if self.squeeze == "pair":
            near, far, valid = _nearest_and_farthest_positive(x, labels)
            loss = loss + self.squeeze_weight * mean_where(valid, pair_distances(x, near, far))
        return loss

    def _block(self, d: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        valid = positives.sum(dim=1) > 0
        columns = _nearest_columns(d.detach() + (1 - positives - negatives) * 1e30, min(self.neighbors, d.shape[1] - 1))
        # where no neighbour is a positive, the nearest positive joins them; elsewhere it is there already
        supporter = nearest(d.detach(), positives)[:, None]
        is_positive = positives.gather(1, columns)
        joins = (is_positive.sum(dim=1, keepdim=True) == 0) & valid[:, None]
        near = d.gather(1, torch.cat([columns, supporter], dim=1))
        support = torch.cat([is_positive > 0, joins], dim=1)
        counted = torch.cat([torch.ones_like(columns, dtype=torch.bool), joins], dim=1)
        support = support | ~valid[:, None]  # anchors without a positive: any finite value, dropped below
        logits = -self.sigma * near
        separation = _logsumexp(logits, counted) - _logsumexp(logits, support)
        terms = separation + self.squeeze_weight * self._squeeze(d, positives, near, support)
        return torch.where(valid, terms, 0), valid

    def _squeeze(self, d: Tensor, positives: Tensor, near: Tensor, support: Tensor) -> Tensor:
        if self.squeeze == "pair":
            return near.new_zeros(len(near))  # needs the distance of two other images: added in `forward`
        smallest = near.where(support, torch.inf).amin(dim=1)
        if self.squeeze == "nearest":
            return smallest
        if self.squeeze == "gap":
            return near.where(support, -torch.inf).amax(dim=1) - smallest
        return d.gather(1, farthest(d.detach(), positives)[:, None])[:, 0] - smallest


def _nearest_columns(distances: Tensor, number: int) -> Tensor:
    """Per row the columns of the `number` smallest values, ties at the border by column."""
    values, columns = distances.topk(number + 1, dim=1, largest=False)
    if number and bool((values[:, -1] == values[:, -2]).any()):
        columns = distances.argsort(dim=1, stable=True)
    return columns[:, :number]


def _logsumexp(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.where(mask, -torch.inf).logsumexp(dim=1)


@torch.no_grad()
def _nearest_and_farthest_positive(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of each anchor's nearest and farthest positive, and whether it has one."""
    found = [
        (nearest(squares, positives), farthest(squares, positives), positives.sum(dim=1) > 0)
        for _, squares, positives, _ in blocks(x - x.mean(dim=0), labels)
    ]
    near, far, valid = (torch.cat(part) for part in zip(*found, strict=True))
    return near, far, valid

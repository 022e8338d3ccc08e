"""Losses: vectors [B, D] and identities [B] in, one number out. `LOSSES` is the table of them all.

A loss is an `nn.Module` called `loss(x, labels)`; its class attribute `reads` says which of the model's two vectors it
is meant for. Those with class weights or centres own them and take `num_ids` and `dim`.
"""

from __future__ import annotations

from torch import nn

from passerby.losses.lists import LinLoss
from passerby.losses.softmax import SoftmaxLoss, SphereSoftmaxLoss
from passerby.losses.triplets import BatchHardTripletLoss

LOSSES: dict[str, type[nn.Module]] = {
    "softmax": SoftmaxLoss,
    "sphere_softmax": SphereSoftmaxLoss,
    "batch_hard_triplet": BatchHardTripletLoss,
    "lin": LinLoss,
}

__all__ = ["LOSSES"]

"""Losses: vectors [B, D] and identities [B] in, one number out. `LOSSES` is the table of them all.

A loss is an `nn.Module` called `loss(x, labels)`; its class attribute `reads` says which of the model's two vectors it
is meant for. Those with class weights or centres own them and take `num_ids` and `dim`.
"""

from __future__ import annotations

from torch import nn

from passerby.losses.centers import CenterInvariantLoss, CenterLoss, RangeLoss
from passerby.losses.lists import LinLoss, RankedListLoss
from passerby.losses.pairs import ContrastiveLoss, VerificationLoss
from passerby.losses.quadruplets import QuadrupletLoss
from passerby.losses.sets import AdaptiveWeightedTripletLoss, HAP2SLoss
from passerby.losses.softmax import SoftmaxLoss, SphereSoftmaxLoss
from passerby.losses.support_neighbor import SupportNeighborLoss
from passerby.losses.triplets import (
    BatchHardTripletLoss,
    ImprovedTripletLoss,
    MarginSampleMiningLoss,
    ThresholdedTripletLoss,
    TripletLoss,
)

LOSSES: dict[str, type[nn.Module]] = {
    "softmax": SoftmaxLoss,
    "sphere_softmax": SphereSoftmaxLoss,
    "verification": VerificationLoss,
    "contrastive": ContrastiveLoss,
    "triplet": TripletLoss,
    "improved_triplet": ImprovedTripletLoss,
    "thresholded_triplet": ThresholdedTripletLoss,
    "batch_hard_triplet": BatchHardTripletLoss,
    "quadruplet": QuadrupletLoss,
    "msml": MarginSampleMiningLoss,
    "hap2s": HAP2SLoss,
    "adaptive_weighted_triplet": AdaptiveWeightedTripletLoss,
    "ranked_list": RankedListLoss,
    "lin": LinLoss,
    "support_neighbor": SupportNeighborLoss,
    "center": CenterLoss,
    "center_invariant": CenterInvariantLoss,
    "range": RangeLoss,
}

__all__ = [
    "LOSSES",
    "AdaptiveWeightedTripletLoss",
    "BatchHardTripletLoss",
    "CenterInvariantLoss",
    "CenterLoss",
    "ContrastiveLoss",
    "HAP2SLoss",
    "ImprovedTripletLoss",
    "LinLoss",
    "MarginSampleMiningLoss",
    "QuadrupletLoss",
    "RangeLoss",
    "RankedListLoss",
    "SoftmaxLoss",
    "SphereSoftmaxLoss",
    "SupportNeighborLoss",
    "ThresholdedTripletLoss",
    "TripletLoss",
    "VerificationLoss",
]

"""Losses: vectors [B, D] and identities [B] in, one number out. `LOSSES` is the table of them all.

A loss is an `nn.Module` called `loss(x, labels)`; its class attribute `reads` says which of the model's two vectors it
is meant for, and `needs_pairs` that a batch must hold several images of one identity beside other identities. Those
with class weights or centres own them and take `num_ids` and `dim`.

A new loss is its class, its import and its line in the table here.
"""

from __future__ import annotations

from torch import nn

from passerby.losses.centers import CenterInvariantLoss as CenterInvariantLoss
from passerby.losses.centers import CenterLoss as CenterLoss
from passerby.losses.centers import RangeLoss as RangeLoss
from passerby.losses.list_wise import LinLoss as LinLoss
from passerby.losses.list_wise import RankedListLoss as RankedListLoss
from passerby.losses.pairs import ContrastiveLoss as ContrastiveLoss
from passerby.losses.pairs import VerificationLoss as VerificationLoss
from passerby.losses.point_to_set import AdaptiveWeightedTripletLoss as AdaptiveWeightedTripletLoss
from passerby.losses.point_to_set import HAP2SLoss as HAP2SLoss
from passerby.losses.quadruplets import QuadrupletLoss as QuadrupletLoss
from passerby.losses.softmax import SoftmaxLoss as SoftmaxLoss
from passerby.losses.softmax import SphereSoftmaxLoss as SphereSoftmaxLoss
from passerby.losses.support_neighbor import SupportNeighborLoss as SupportNeighborLoss
from passerby.losses.triplets import BatchHardTripletLoss as BatchHardTripletLoss
from passerby.losses.triplets import ImprovedTripletLoss as ImprovedTripletLoss
from passerby.losses.triplets import MarginSampleMiningLoss as MarginSampleMiningLoss
from passerby.losses.triplets import ThresholdedTripletLoss as ThresholdedTripletLoss
from passerby.losses.triplets import TripletLoss as TripletLoss

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

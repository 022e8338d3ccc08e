"""Learning rate over epochs."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from passerby.config.settings_group import EpochCount, NonNegative, Settings, Share


class ScheduleConfig(Settings):
    """Learning rate over epochs."""

    epochs: EpochCount = 120
    """Passes over the training set (see sampler.epoch); auto: as many as suit the fine-tuning of pretrained weights
    on so many images."""
    warmup_epochs: float = Field(10.0, ge=0.0, allow_inf_nan=False)
    """Length of the linear warm-up."""
    warmup_start: float = Field(0.01, ge=0.0, le=1.0)
    """Factor of the base rate at the first step of the warm-up."""
    decay: Literal["step", "cosine", "constant"] = "step"
    """What follows the warm-up."""
    milestones: tuple[int, ...] = (40, 70)
    """step: epochs after which the rate is multiplied by gamma."""
    gamma: float = Field(0.1, gt=0.0, le=1.0)
    """step: that factor."""
    final: float = Field(0.01, ge=0.0, le=1.0)
    """cosine: factor of the base rate at the end."""
    per: Literal["epoch", "step"] = "epoch"
    """Whether the rate changes once an epoch (as the papers do) or at every step."""
    freeze_backbone_epochs: NonNegative = 0
    """Train only the head and the losses for so many epochs first."""
    small_until: Share = 0.0
    """Train at half the height and width for this share of the epochs first, which costs a quarter each."""
    full_size_rate: Share = 1.0
    """small_until: factor of the base rate at which the full-size epochs begin, where the decay has gone below it; it
    decays anew from there. At the switch batch norm estimates its statistics anew. 0: neither, as in version 0.1."""

    @property
    def small_epochs(self) -> int:
        """Epochs at half the size: the share, rounded; with `full_size_rate` = 0 rounded up, as in version 0.1."""
        share = self.small_until * self.epochs
        return math.ceil(share) if self.full_size_rate == 0 else math.floor(share + 0.5)

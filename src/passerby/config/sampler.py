"""Which images form a batch."""

from __future__ import annotations

from typing import Literal

from passerby.config.settings_group import NonNegative, Positive, Settings


class SamplerConfig(Settings):
    """Which images form a batch."""

    kind: Literal["pk", "camera", "balanced", "hard_identity", "shuffled"] = "pk"
    """P x K; P x K spread over cameras; SphereReID's balanced batches; hard identities (GHIS); or plain shuffling."""
    identities: Positive = 16
    """P, identities in a batch."""
    images: Positive = 4
    """K, images of each identity in a batch."""
    epoch: Literal["chunks", "identities"] = "chunks"
    """What one epoch is: every image's chunk of K (strong baseline) or each identity once (Hermans et al.)."""
    refresh_epochs: Positive = 1
    """hard_identity: epochs between two searches for similar identities."""
    linkage: Literal["mean", "min", "average"] = "mean"
    """hard_identity: distance of two identities: of their means, their nearest or their average pair."""
    candidates: NonNegative = 0
    """hard_identity: length of each identity's list of similar ones; 0 means 4 (P - 1)."""

    @property
    def batch_size(self) -> int:
        """P x K."""
        return self.identities * self.images

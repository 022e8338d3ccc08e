"""How an encoder learns a new place without labels."""

from __future__ import annotations

from pydantic import Field

from passerby.config.settings_group import NonNegative, Positive, Settings, Share


class AdaptationSettings(Settings):
    """How an encoder learns a new place without labels."""

    recipe: str = "adaptation"
    """The training of one round: a recipe by name, or a TOML file."""
    rounds: NonNegative = 10
    """Most rounds of clustering and training; 0: camera statistics alone. Ten are what an OSNet x0.25 does with
    13,000 crops in less than two hours of one processor core."""
    epochs: Positive = 4
    """Epochs of a round's training."""
    patience: Positive = 3
    """Stop after so many rounds without a better criterion."""
    k1: Positive = 20
    """Neighbours that must be mutual (Jaccard distance); 10 where people have few crops."""
    k2: Positive = 6
    """Neighbours whose sets are averaged, 1 for none."""
    distance: float = Field(0.5, gt=0.0, lt=1.0)
    """DBSCAN: largest Jaccard distance of two neighbours in a cluster."""
    min_samples: Positive = 4
    """DBSCAN: neighbours, itself included, that a crop needs (at most 2 for a tracklet)."""
    camera_minimum: int = Field(50, ge=2)
    """People that a camera must have seen for its mean to be subtracted."""
    held_out: Share = 0.1
    """Share of the crops (whole neighbourhoods) that never train: the criterion is measured there."""
    batch_size: Positive = 128
    """Images a forward pass when the place is embedded."""
    seed: NonNegative = 0
    """The one seed of every random choice."""

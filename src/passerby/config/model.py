"""Backbone and head."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from passerby.config.settings_group import Settings


class ModelConfig(Settings):
    """Backbone and head."""

    backbone: str = "osnet_x0_25"
    """A name of the BACKBONES table, or "timm:NAME"."""
    last_stride: Literal[1, 2] = 1
    """Stride of the last stage of a ResNet; 1 keeps the resolution (Sun et al. 2018)."""
    pooling: Literal["average", "max", "gem"] = "average"
    """How the feature map becomes a vector."""
    neck: Literal["none", "bnneck"] = "bnneck"
    """Batch norm between `feature` and `embedding` (BNNeck, Luo et al. 2019)."""
    pooled_norm: bool = False
    """Batch norm of the pooled vector, before dropout and the fully connected layers (SphereReID)."""
    fc_dims: tuple[int, ...] = ()
    """Fully connected layers after pooling (HAP2S: 1024, 128); the last one is the feature's dimension."""
    fc_end: Literal["linear", "norm_relu"] = "linear"
    """What ends the fully connected layers; norm_relu: batch norm and ReLU (torchreid's fc512)."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout before the fully connected layers."""
    last_pool: bool = True
    """OSNet: halve the map before the last stage, as published; false keeps its resolution."""
    tail: Literal["none", "branches"] = "none"
    """branches (OSNet): further vectors of stripes and channel groups (LightMBN; `passerby.models.branches`)."""
    weights: Path | None = None
    """Start from this checkpoint (torchvision's, IBN-Net's, torchreid's or fast-reid's parameter names), a file or
    hub:NAME."""

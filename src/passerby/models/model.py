"""A model is a backbone, a pooling and a head."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from passerby.config import ModelConfig
from passerby.models.backbones.table import BACKBONES, Backbone, build_backbone
from passerby.models.heads import POOLINGS, Embedding, Output

__all__ = ["BACKBONES", "Backbone", "Output", "ReIDModel", "build_model"]


class ReIDModel(nn.Module):
    """Backbone, pooling and head.

    Args:
        backbone: images -> feature map, with `.fc` to apply after pooling (see `Backbone`).
        pooling: a name of POOLINGS.
        head: pooled vector -> Output.
    """

    def __init__(self, backbone: nn.Module, head: Embedding, *, pooling: str = "average") -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = POOLINGS[pooling]()
        self.head = head
        self.dim = head.dim

    def forward(self, images: Tensor) -> Output:
        """Normalised float images [B, 3, H, W] -> Output(feature [B, dim], embedding [B, dim]), float32."""
        return self.vectors(self.pooled(images))

    def recompute_activations(self) -> None:
        """Keep less for the backward pass, and compute it again there (see `passerby.models.backbones.recompute`).

        Raises:
            ConfigError: a timm model that cannot.
        """
        cast(Any, self.backbone).recompute = True

    def pooled(self, images: Tensor) -> Tensor:
        """The part that costs: images [B, 3, H, W] -> pooled feature maps [B, C], float32."""
        maps = self.backbone(images)
        with _full_precision(maps):
            return cast(Tensor, self.pool(maps))

    def vectors(self, pooled: Tensor) -> Output:
        """The rest: `pooled` -> Output."""
        with _full_precision(pooled):
            return cast(Output, self.head(cast(nn.Module, self.backbone.fc)(pooled)))


def _full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A few vectors cost nothing in float32, and losses and batch norm need its range."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def build_model(config: ModelConfig) -> ReIDModel:
    """An untrained model; `config.weights` is left to `passerby.models.weights.checkpoints.load_weights`.

    Raises:
        ConfigError: an unknown backbone (with the nearest known one).
        MissingExtraError: "timm:NAME" without timm.
    """
    backbone = build_backbone(config.backbone, config.last_stride)
    head = Embedding(cast(int, backbone.dim), fc_dims=tuple(config.fc_dims), dropout=config.dropout, neck=config.neck)
    return ReIDModel(backbone, head, pooling=config.pooling)

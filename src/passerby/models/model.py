"""A model is a backbone, a pooling and a head."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from passerby.config import ModelConfig
from passerby.errors import ConfigError
from passerby.models.backbones.osnet import OSNet
from passerby.models.backbones.recompute import through
from passerby.models.backbones.table import BACKBONES, Backbone, build_backbone
from passerby.models.branches import Branches
from passerby.models.heads import POOLINGS, Embedding, Output

__all__ = ["BACKBONES", "Backbone", "Output", "ReIDModel", "build_model"]


class ReIDModel(nn.Module):
    """Backbone, pooling and head.

    Args:
        backbone: images -> feature map, with `.fc` to apply after pooling (see `Backbone`).
        pooling: a name of POOLINGS.
        head: pooled vector -> Output.
        tail: further vectors beside the one of the whole map, with a backbone that has `last_layers`.

    Attributes:
        dim: length of a vector.
        widths: lengths of the parts of a vector that learn the labels each by itself; one part without a tail.
    """

    def __init__(
        self, backbone: nn.Module, head: Embedding, *, pooling: str = "average", tail: Branches | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = POOLINGS[pooling]()
        self.head = head
        self.tail = tail
        self.widths: tuple[int, ...] = (head.dim,) if tail is None else tail.widths
        self.dim = sum(self.widths)

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
        """The part that costs: images [B, 3, H, W] -> pooled feature maps [B, C], float32, of all branches in a row."""
        maps = (self.backbone(images),) if self.tail is None else self._branch_maps(images, self.tail)
        with _full_precision(maps[0]):
            vectors = [cast(Tensor, self.pool(x)) for x in maps]
            return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=1)

    def _branch_maps(self, images: Tensor, tail: Branches) -> tuple[Tensor, ...]:
        backbone = cast(OSNet, self.backbone)
        before = backbone(images, last=False)
        return (through(backbone.last_layers, before, recompute=backbone.recompute), *tail.maps(before))

    def vectors(self, pooled: Tensor) -> Output:
        """The rest: `pooled` -> Output."""
        with _full_precision(pooled):
            whole = pooled if self.tail is None else pooled[:, : self.tail.pooled[0]]
            output = cast(Output, self.head(cast(nn.Module, self.backbone.fc)(whole)))
            return output if self.tail is None else cast(Output, self.tail(output, pooled))

    @property
    def copies(self) -> dict[str, str]:
        """Tensors of the tail that start as copies of the backbone's: their names, and the names of those."""
        if self.tail is None:
            return {}
        sources = {id(t): name for name, t in self.state_dict(keep_vars=True).items()}
        layers = cast(Any, self.backbone).last_layers
        return {
            f"tail.{copied}.{i}.{name}": sources[id(tensor)]
            for copied in ("stripes", "groups")
            for i, layer in enumerate(layers)
            for name, tensor in layer.state_dict(keep_vars=True).items()
        }


def _full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A few vectors cost nothing in float32, and losses and batch norm need its range."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def build_model(config: ModelConfig) -> ReIDModel:
    """An untrained model; `config.weights` is left to `passerby.models.weights.checkpoints.load_weights`.

    Raises:
        ConfigError: an unknown backbone (with the nearest known one), or what only OSNet has of another one.
        MissingExtraError: "timm:NAME" without timm.
    """
    backbone = build_backbone(config.backbone, config.last_stride)
    if not config.last_pool:
        if not isinstance(backbone, OSNet):
            raise ConfigError(f"model.last_pool: false needs an OSNet, found model.backbone = {config.backbone!r}")
        backbone.keep_resolution()
    if config.fc_end != "linear" and not config.fc_dims:
        raise ConfigError(f"model.fc_end: {config.fc_end!r} ends fully connected layers, and model.fc_dims has none")
    head = Embedding(
        cast(int, backbone.dim),
        fc_dims=tuple(config.fc_dims),
        fc_end=config.fc_end,
        dropout=config.dropout,
        neck=config.neck,
        pooled_norm=config.pooled_norm,
    )
    return ReIDModel(backbone, head, pooling=config.pooling, tail=_build_tail(config, backbone, head))


def _build_tail(config: ModelConfig, backbone: nn.Module, head: Embedding) -> Branches | None:
    if config.tail == "none":
        return None
    if not isinstance(backbone, OSNet):
        raise ConfigError(f'model.tail: "branches" needs an OSNet, found model.backbone = {config.backbone!r}')
    return Branches(backbone.last_layers, backbone.channels, head.dim, dropout=config.dropout, neck=config.neck)

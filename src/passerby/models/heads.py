"""From a feature map to `feature` (before the neck) and `embedding` (after it).

BNNeck: Luo, Gu, Liao, Lai, Jiang 2019, arXiv:1903.07071. GeM pooling: Radenović, Tolias, Chum 2018, arXiv:1711.02512.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """What a model computes of a batch of images; both float32 [B, D]."""

    feature: Tensor
    """Before the neck: what metric losses usually read."""
    embedding: Tensor
    """After the neck: what classifiers read and what retrieval compares."""


def _full(x: Tensor) -> torch.dtype:
    """float32, whatever half of it the backbone computed in; float64 stays."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


class GeM(nn.Module):
    """Generalised mean: mean(x^p)^(1/p) over the map, p learnt from 3; p = 1 is the average, p -> inf the maximum."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C] float32."""
        powers = x.to(_full(x)).clamp(min=self.eps).pow(self.p)
        return powers.mean((2, 3)).pow(1.0 / self.p)


class AveragePool(nn.Module):
    """Mean over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C] float32."""
        return x.mean((2, 3), dtype=_full(x))


class MaxPool(nn.Module):
    """Maximum over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C] float32."""
        return x.amax((2, 3)).to(_full(x))


POOLINGS: dict[str, type[nn.Module]] = {"average": AveragePool, "max": MaxPool, "gem": GeM}


class Embedding(nn.Module):
    """Pooled vector -> (batch norm, dropout, fully connected layers) -> feature -> neck -> embedding.

    Args:
        dim: length of the pooled vector.
        fc_dims: widths of fully connected layers; batch norm and ReLU stand between them, none after the last
            (HAP2S, Yu et al. 2018, arXiv:1807.11206: 1024 and 128).
        fc_end: "norm_relu" puts them after the last one too (torchreid's models called fc512).
        dropout: before the fully connected layers, or before the feature where there are none.
        neck: "bnneck" (batch norm whose bias stays 0) or "none".
        pooled_norm: batch norm of the pooled vector, before dropout: with one fully connected layer and the neck the
            head of SphereReID (Fan et al. 2019, arXiv:1807.00537).
    """

    def __init__(
        self,
        dim: int,
        *,
        fc_dims: tuple[int, ...] = (),
        fc_end: Literal["linear", "norm_relu"] = "linear",
        dropout: float = 0.0,
        neck: Literal["none", "bnneck"] = "bnneck",
        pooled_norm: bool = False,
    ) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm1d(dim) if pooled_norm else nn.Identity()
        self.dropout = dropout
        self.fc = nn.Sequential()
        for i, width in enumerate(fc_dims):
            if i > 0:
                self.fc.extend([nn.BatchNorm1d(dim), nn.ReLU(inplace=True)])
            self.fc.append(nn.Linear(dim, width))
            dim = width
        if fc_dims and fc_end == "norm_relu":
            self.fc.extend([nn.BatchNorm1d(dim), nn.ReLU(inplace=True)])
        self.fc.apply(_initialise)
        self.dim = dim
        self.neck: nn.Module = nn.Identity()
        if neck == "bnneck":
            self.neck = nn.BatchNorm1d(dim)
            self.neck.bias.requires_grad_(False)  # the paper removes the bias: hyperplanes through the origin

    def forward(self, pooled: Tensor) -> Output:
        """[B, dim] float32 -> Output of [B, D] each."""
        pooled = self.norm(pooled)
        if self.dropout:
            pooled = F.dropout(pooled, self.dropout, self.training)
        feature = self.fc(pooled)
        return Output(feature, self.neck(feature))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.zeros_(module.bias)

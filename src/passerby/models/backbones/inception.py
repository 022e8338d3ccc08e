"""Inception-v2, also called BN-Inception: GoogLeNet with batch norm and two 3x3 convolutions for each 5x5.

Ioffe, Szegedy 2015, arXiv:1502.03167. The backbone of many metric-learning papers. Public checkpoints use flat names
(`inception_3a_1x1_bn.weight`); `own_name` says what they are called here. Those checkpoints were trained on BGR
pixels in 0..255 with the means 104, 117 and 128 subtracted.
"""

from __future__ import annotations

import re
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.models.backbones.recompute import through

Pool = Literal["average", "max", "none"]

# 1x1; 3x3 reduced and out; double 3x3 reduced and out; pooling and its projection ("none": pass through, stride 2)
_BLOCKS: dict[str, tuple[int, int, int, int, int, Pool, int]] = {
    "3a": (64, 64, 64, 64, 96, "average", 32),
    "3b": (64, 64, 96, 64, 96, "average", 64),
    "3c": (0, 128, 160, 64, 96, "none", 0),
    "4a": (224, 64, 96, 96, 128, "average", 128),
    "4b": (192, 96, 128, 96, 128, "average", 128),
    "4c": (160, 128, 160, 128, 160, "average", 128),
    "4d": (96, 128, 192, 160, 192, "average", 128),
    "4e": (0, 128, 192, 192, 256, "none", 0),
    "5a": (352, 192, 320, 160, 224, "average", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


class Unit(nn.Module):
    """Convolution (with bias, as in the original), batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2)
        self.bn = nn.BatchNorm2d(out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride]."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Parallel 1x1, 3x3, double 3x3 and pooling branches, side by side in the output."""

    def __init__(self, channels: int, shape: tuple[int, int, int, int, int, Pool, int]) -> None:
        super().__init__()
        one, reduce, three, double_reduce, double, self.pool, projection = shape
        self.stride = 2 if self.pool == "none" else 1
        units = {"1x1": Unit(channels, one)} if one else {}
        units["3x3_reduce"] = Unit(channels, reduce)
        units["3x3"] = Unit(reduce, three, 3, self.stride)
        units["double_3x3_reduce"] = Unit(channels, double_reduce)
        units["double_3x3_1"] = Unit(double_reduce, double, 3)
        units["double_3x3_2"] = Unit(double, double, 3, self.stride)
        if projection:
            units["pool_proj"] = Unit(channels, projection)
        self.units = nn.ModuleDict(units)
        self.out = one + three + double + (projection or channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride]."""
        units = self.units
        branches = [units["1x1"](x)] if "1x1" in units else []
        branches.append(units["3x3"](units["3x3_reduce"](x)))
        branches.append(units["double_3x3_2"](units["double_3x3_1"](units["double_3x3_reduce"](x))))
        if self.pool == "none":
            branches.append(F.max_pool2d(x, 3, 2, ceil_mode=True))
        else:
            pooled = F.avg_pool2d(x, 3, 1, 1) if self.pool == "average" else F.max_pool2d(x, 3, 1, 1)
            branches.append(units["pool_proj"](pooled))
        return torch.cat(branches, 1)


class InceptionV2(nn.Module):
    """Inception-v2 without its classifier; `forward` gives the feature map.

    Args:
        divide: divides every width; 1 is the published network.
    """

    def __init__(self, divide: int = 1) -> None:
        super().__init__()
        self.conv1 = Unit(3, 64 // divide, 7, 2)
        self.conv2_reduce = Unit(64 // divide, 64 // divide)
        self.conv2 = Unit(64 // divide, 192 // divide, 3)
        channels = 192 // divide
        blocks = {}
        for name, (one, reduce, three, double_reduce, double, pool, projection) in _BLOCKS.items():
            widths = [w // divide for w in (one, reduce, three, double_reduce, double, projection)]
            blocks[name] = Inception(channels, (*widths[:5], pool, widths[5]))  # type: ignore[arg-type]
            channels = blocks[name].out
        self.blocks = nn.ModuleDict(blocks)
        self.channels = self.dim = channels
        self.fc = nn.Identity()
        self.recompute = False

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, H / 32, W / 32]."""
        x = F.max_pool2d(self.conv1(images), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv2(self.conv2_reduce(x)), 3, 2, ceil_mode=True)
        return through(self.blocks.values(), x, recompute=self.recompute)


_STEM = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2_reduce", "conv2_3x3": "conv2"}
_FLAT = re.compile(r"(?:inception_(?P<block>\d[a-e])_)?(?P<unit>\w+?)(?P<bn>_bn)?\.(?P<rest>\w+)$")


def own_name(key: str) -> str:
    """What a public checkpoint's parameter is called here: inception_3a_1x1_bn.bias is blocks.3a.units.1x1.bn.bias."""
    match = _FLAT.match(key)
    if match is None or not (match["block"] or match["unit"] in _STEM):
        return key
    place = f"blocks.{match['block']}.units.{match['unit']}" if match["block"] else _STEM[match["unit"]]
    return f"{place}.{'bn' if match['bn'] else 'conv'}.{match['rest']}"

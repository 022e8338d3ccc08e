"""OSNet: omni-scale features from four streams of light convolutions and a shared channel gate.

Zhou, Yang, Cavallaro, Xiang 2019, arXiv:1905.00953 (OSNet, OSNet-IBN) and 2021, arXiv:1910.06827 (OSNet-AIN).
Parameter names are torchreid's, so its public checkpoints load as they are.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.models.backbones.recompute import through

Kind = Literal["plain", "ibn", "ain"]

# Per stage, whether each of the two blocks carries an instance norm inside its residual branch: the structure that
# the architecture search of OSNet-AIN found.
_AIN_STAGES = ((True, True), (False, True), (True, False))
_STREAMS = 4
_BOTTLENECK = 4
_GATE_REDUCTION = 16


class ConvLayer(nn.Module):
    """Convolution, norm (batch or instance) and, unless `linear`, ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, *, instance: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = nn.InstanceNorm2d(out, affine=True) if instance else nn.BatchNorm2d(out)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride]."""
        x = self.bn(self.conv(x))
        return x if self.linear else F.relu(x, inplace=True)


class LightConv3x3(nn.Module):
    """Pointwise convolution, depthwise 3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> the same shape."""
        return F.relu(self.bn(self.conv2(self.conv1(x))), inplace=True)


class ChannelGate(nn.Module):
    """The aggregation gate that all streams of a block share: a small network from averages to weights in 0..1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _GATE_REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // _GATE_REDUCTION, channels, 1)

    def forward(self, streams: list[Tensor]) -> Tensor:
        """Sum of the streams [B, C, h, w], each weighted by its own gate."""
        # One pass for all streams: their averages stand under each other as rows.
        averages = torch.cat([x.mean((2, 3), keepdim=True) for x in streams])
        rows: Tensor = torch.sigmoid(self.fc2(F.relu(self.fc1(averages))))
        gates = rows.view(len(streams), -1, *rows.shape[1:]).unbind()
        total = streams[0] * gates[0]
        for x, gate in zip(streams[1:], gates[1:], strict=True):
            total = total + x * gate
        return total


class OSBlock(nn.Module):
    """Omni-scale block: streams of 1, 2, 3 and 4 light convolutions, gated, summed and added to the input.

    Args:
        channels: input channels.
        out: output channels, a multiple of 64.
        instance: instance norm after the addition (OSNet-IBN).
    """

    def __init__(self, channels: int, out: int, *, instance: bool = False) -> None:
        super().__init__()
        middle = out // _BOTTLENECK
        self.conv1 = ConvLayer(channels, middle)
        self.conv2a = LightConv3x3(middle)
        self.conv2b = nn.Sequential(*(LightConv3x3(middle) for _ in range(2)))
        self.conv2c = nn.Sequential(*(LightConv3x3(middle) for _ in range(3)))
        self.conv2d = nn.Sequential(*(LightConv3x3(middle) for _ in range(4)))
        self.gate = ChannelGate(middle)
        self.conv3 = ConvLayer(middle, out, linear=True)
        self.downsample = ConvLayer(channels, out, linear=True) if channels != out else None
        self.IN = nn.InstanceNorm2d(out, affine=True) if instance else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h, w]."""
        narrow = self.conv1(x)
        mixed = self.gate([self.conv2a(narrow), self.conv2b(narrow), self.conv2c(narrow), self.conv2d(narrow)])
        result = self.conv3(mixed) + (x if self.downsample is None else self.downsample(x))
        if self.IN is not None:
            result = self.IN(result)
        return F.relu(result, inplace=True)


class _Stream(nn.Module):
    """`depth` light convolutions in a row, under the name torchreid's AIN file gives them."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(LightConv3x3(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


class AINBlock(nn.Module):
    """Omni-scale block of OSNet-AIN; with `instance`, an instance norm closes the residual branch.

    Args:
        channels: input channels.
        out: output channels, a multiple of 64.
        instance: instance norm instead of batch norm at the end of the residual branch.
    """

    def __init__(self, channels: int, out: int, *, instance: bool) -> None:
        super().__init__()
        middle = out // _BOTTLENECK
        self.conv1 = ConvLayer(channels, middle)
        self.conv2 = nn.ModuleList(_Stream(middle, depth) for depth in range(1, _STREAMS + 1))
        self.gate = ChannelGate(middle)
        self.conv3 = ConvLayer(middle, out, linear=True)
        if instance:
            self.conv3.bn = nn.Identity()
        self.downsample = ConvLayer(channels, out, linear=True) if channels != out else None
        self.IN = nn.InstanceNorm2d(out, affine=True) if instance else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h, w]."""
        narrow = self.conv1(x)
        branch = self.IN(self.conv3(self.gate([stream(narrow) for stream in self.conv2])))
        return F.relu(branch + (x if self.downsample is None else self.downsample(x)), inplace=True)


class OSNet(nn.Module):
    """OSNet without its classifier.

    `forward` gives the feature map; `fc` (Linear, batch norm, ReLU; 512-d) follows the pooling, as in the paper, so
    that the pretrained 512-d vector is the model's `feature`.

    Args:
        channels: of the stem and the three stages; (64, 256, 384, 512) at width x1.0.
        kind: "plain" (batch norm), "ibn" (instance norm in the stem and the first stage) or "ain".
        feature_dim: output of `fc`.
        blocks: blocks in each stage.
    """

    def __init__(
        self, channels: tuple[int, int, int, int], *, kind: Kind = "plain", feature_dim: int = 512, blocks: int = 2
    ) -> None:
        super().__init__()
        stem, *stages = channels
        self.channels = stages[-1]
        self.dim = feature_dim
        self.kind = kind
        self.recompute = False
        self.conv1 = ConvLayer(3, stem, 7, 2, instance=kind != "plain")
        widths = list(zip([stem, *stages], stages, strict=False))
        self.pool2: nn.Module = nn.Identity()
        self.pool3: nn.Module = nn.Identity()
        if kind == "ain":
            self.conv2, self.conv3, self.conv4 = (_ain_stage(*widths[i], _AIN_STAGES[i][:blocks]) for i in range(3))
            self.pool2, self.pool3 = _shrink(stages[0]), _shrink(stages[1])
        else:
            self.conv2 = _stage(*widths[0], blocks, instance=kind == "ibn", shrink=True)
            self.conv3 = _stage(*widths[1], blocks, shrink=True)
            self.conv4 = _stage(*widths[2], blocks)
        self.conv5 = ConvLayer(stages[-1], stages[-1])
        self.fc = nn.Sequential(nn.Linear(stages[-1], feature_dim), nn.BatchNorm1d(feature_dim), nn.ReLU(inplace=True))
        self.apply(_initialise)

    def forward(self, images: Tensor, *, last: bool = True) -> Tensor:
        """[B, 3, H, W] -> feature map [B, channels, H / 16, W / 16]; without `last`, the map before `last_layers`."""
        x = F.max_pool2d(self.conv1(images), 3, 2, 1)
        blocks = (*self.conv2, self.pool2, *self.conv3, self.pool3, *list(self.conv4)[:-1])
        x = through(blocks, x, recompute=self.recompute)
        return through(self.last_layers, x, recompute=self.recompute) if last else x

    def keep_resolution(self) -> None:
        """Halve the map no more before the last stage: it becomes [B, channels, H / 8, W / 8]."""
        shrink = cast(nn.Sequential, self.pool3 if self.kind == "ain" else self.conv3[-1])
        shrink[-1] = nn.Identity()

    @property
    def last_layers(self) -> tuple[nn.Module, ...]:
        """The last block and the convolution behind it, which branches copy."""
        return (self.conv4[-1], self.conv5)


def _stage(channels: int, out: int, blocks: int, *, instance: bool = False, shrink: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [OSBlock(channels if i == 0 else out, out, instance=instance) for i in range(blocks)]
    return nn.Sequential(*layers, _shrink(out)) if shrink else nn.Sequential(*layers)


def _ain_stage(channels: int, out: int, instance: tuple[bool, ...]) -> nn.Sequential:
    return nn.Sequential(*(AINBlock(channels if i == 0 else out, out, instance=x) for i, x in enumerate(instance)))


def _shrink(channels: int) -> nn.Sequential:
    return nn.Sequential(ConvLayer(channels, channels), nn.AvgPool2d(2))


def _initialise(module: nn.Module) -> None:
    """Torchreid's start: Kaiming fan-out for convolutions, N(0, 0.01) for the linear layer; norms start at 1 and 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)

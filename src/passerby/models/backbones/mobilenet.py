"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al. 2018, arXiv:1801.04381).

Parameter names are torchvision's (`features.*`), so its checkpoints load as they are.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from passerby.models.backbones.recompute import through

# expansion, channels, blocks, stride of the first block: table 2 of the paper
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (3x3), narrow (1x1) without activation; a shortcut where shapes allow.

    Args:
        channels: input channels.
        out: output channels.
        stride: of the depthwise convolution.
        expansion: factor between; 1 leaves the first convolution out.
    """

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = channels * expansion
        widen = [_unit(channels, middle)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *widen,
            _unit(middle, middle, 3, stride, groups=middle),
            nn.Conv2d(middle, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride]."""
        result: Tensor = self.conv(x)
        return x + result if self.shortcut else result


class MobileNetV2(nn.Module):
    """MobileNetV2 at width 1.0 without its classifier; `forward` gives the feature map.

    Args:
        stages: (expansion, channels, blocks, stride) of each stage.
        stem: channels of the first convolution.
        dim: channels of the feature map.
    """

    def __init__(
        self, stages: tuple[tuple[int, int, int, int], ...] = STAGES, *, stem: int = 32, dim: int = 1280
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_unit(3, stem, 3, 2)]
        channels = stem
        for expansion, out, count, stride in stages:
            for i in range(count):
                layers.append(InvertedResidual(channels, out, stride if i == 0 else 1, expansion))
                channels = out
        self.features = nn.Sequential(*layers, _unit(channels, dim))
        self.channels = self.dim = dim
        self.fc = nn.Identity()
        self.recompute = False
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, H / 32, W / 32]."""
        return through(self.features, images, recompute=self.recompute)


class _ReLU6(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x, inplace=True)


def _unit(channels: int, out: int, kernel: int = 1, stride: int = 1, *, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), _ReLU6())

"""ResNet and its relatives: IBN-a, IBN-b, squeeze-and-excitation, ResNeXt.

He et al. 2016, arXiv:1512.03385; Pan et al. 2018, arXiv:1807.09441 (IBN); Hu et al. 2018, arXiv:1709.01507 (SE);
Xie et al. 2017, arXiv:1611.05431 (ResNeXt). Parameter names are torchvision's, IBN-Net's (`bn1.IN`, `bn1.BN`, `IN`)
and timm's (`se.fc1`, `se.fc2`), so public checkpoints load as they are. The stride of a bottleneck sits on its 3x3
convolution, as in torchvision.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.models.backbones.recompute import through

IBNKind = Literal["", "a", "b"]

# Which stages carry instance norms, as IBN-Net's own models do: shallow ones, where appearance varies most.
_IBN_STAGES: dict[str, tuple[bool, bool, bool, bool]] = {
    "": (False, False, False, False),
    "a": (True, True, True, False),
    "b": (True, True, False, False),
}


class IBN(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the others (IBN-a)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.IN = nn.InstanceNorm2d(self.split, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.split)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> the same shape."""
        return torch.cat((self.IN(x[:, : self.split]), self.BN(x[:, self.split :])), 1)


class SqueezeExcite(nn.Module):
    """Weights each channel by a small network of the channels' averages (reduction 16)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> the same shape."""
        weights: Tensor = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))
        return x * weights


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34)."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int = 1, *, ibn: IBNKind = "") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = IBN(width) if ibn == "a" else nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride)
        self.IN = nn.InstanceNorm2d(width, affine=True) if ibn == "b" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, width, h / stride, w / stride]."""
        branch = F.relu(self.bn1(self.conv1(x)), inplace=True)
        branch = self.bn2(self.conv2(branch))
        return F.relu(self.IN(branch + self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50 and deeper).

    Args:
        channels: input channels.
        width: channels of the stage; the block gives four times as many.
        stride: of the 3x3 convolution.
        groups: of the 3x3 convolution (ResNeXt: 32, each 4 channels wide in the first stage).
        ibn: "a", "b" or "".
        squeeze_excite: weight the channels at the end of the residual branch.
    """

    expansion = 4

    def __init__(
        self,
        channels: int,
        width: int,
        stride: int = 1,
        *,
        groups: int = 1,
        ibn: IBNKind = "",
        squeeze_excite: bool = False,
    ) -> None:
        super().__init__()
        # ResNeXt 32x4d: 32 groups of 4 x (width / 64) channels, which is twice the width
        middle = width if groups == 1 else 2 * width
        out = width * self.expansion
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = IBN(middle) if ibn == "a" else nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.se = SqueezeExcite(out) if squeeze_excite else nn.Identity()
        self.downsample = _shortcut(channels, out, stride)
        self.IN = nn.InstanceNorm2d(out, affine=True) if ibn == "b" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, 4 width, h / stride, w / stride]."""
        branch = F.relu(self.bn1(self.conv1(x)), inplace=True)
        branch = F.relu(self.bn2(self.conv2(branch)), inplace=True)
        branch = self.se(self.bn3(self.conv3(branch)))
        return F.relu(self.IN(branch + self.downsample(x)), inplace=True)


class ResNet(nn.Module):
    """A ResNet without its classifier; `forward` gives the feature map.

    Args:
        blocks: blocks in each of the four stages; (3, 4, 6, 3) for ResNet-50.
        basic: two-convolution blocks (ResNet-18 and -34) instead of bottlenecks.
        groups: of the 3x3 convolutions; 32 makes a ResNeXt 32x4d.
        ibn: "a", "b" or "".
        squeeze_excite: SE blocks.
        last_stride: of the last stage; 1 doubles the resolution of the map (Sun et al. 2018, arXiv:1711.09349).
        width: channels of the stem and first stage.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        *,
        basic: bool = False,
        groups: int = 1,
        ibn: IBNKind = "",
        squeeze_excite: bool = False,
        last_stride: int = 1,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.InstanceNorm2d(width, affine=True) if ibn == "b" else nn.BatchNorm2d(width)
        channels = width
        stages = []
        for i, count in enumerate(blocks):
            stage = nn.Sequential()
            for j in range(count):
                stride = (1, 2, 2, last_stride)[i] if j == 0 else 1
                # IBN-a changes every block of its stages, IBN-b only the last one
                kind: IBNKind = ibn if _IBN_STAGES[ibn][i] and (ibn == "a" or j == count - 1) else ""
                out = width * 2**i
                if basic:
                    stage.append(BasicBlock(channels, out, stride, ibn=kind))
                    channels = out
                else:
                    extra = {"groups": groups, "ibn": kind, "squeeze_excite": squeeze_excite}
                    stage.append(Bottleneck(channels, out, stride, **extra))  # type: ignore[arg-type]
                    channels = out * Bottleneck.expansion
            stages.append(stage)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = self.dim = channels
        self.fc = nn.Identity()
        self.recompute = False
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, H / 16, W / 16] (H / 32 with last_stride 2)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images)), inplace=True), 3, 2, 1)
        blocks = (*self.layer1, *self.layer2, *self.layer3, *self.layer4)
        return through(blocks, x, recompute=self.recompute)


def _shortcut(channels: int, out: int, stride: int) -> nn.Module:
    if channels == out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def _initialise(module: nn.Module) -> None:
    """Kaiming fan-out for convolutions; norms start at 1 and 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)

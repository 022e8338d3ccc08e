"""BACKBONES: the table of backbones by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from passerby.errors import ConfigError, unknown_name
from passerby.models.backbones.inception import InceptionV2
from passerby.models.backbones.mobilenet import MobileNetV2
from passerby.models.backbones.osnet import Kind, OSNet
from passerby.models.backbones.resnet import ResNet
from passerby.models.backbones.timm_backbone import TimmBackbone


@dataclass(frozen=True)
class Backbone:
    """One line of the BACKBONES table.

    A factory takes the stride of the last stage (ResNets obey it, others have their own) and returns a module that
    maps images [B, 3, H, W] to a feature map, with `.channels` of that map, `.fc` to apply after pooling, `.dim` of
    what comes out of it, and `.recompute`, whether activations are computed again in the backward pass.
    """

    factory: Callable[[int], nn.Module]
    """Full size."""
    tiny: Callable[[int], nn.Module]
    """The same code, narrow and shallow: for tests and the demo. `ModelConfig(backbone="tiny:NAME")` builds it."""
    parameters: float
    """Published parameter count in millions, with the digits that were published."""
    classes: int
    """Classes of the classifier that the published count includes; 0 where it counts none."""
    paper: str
    """Source."""


_OSNET = "Zhou et al. 2019, arXiv:1905.00953"
_OSNET_AIN = "Zhou et al. 2021, arXiv:1910.06827"
_RESNET = "He et al. 2016, arXiv:1512.03385"
_IBN = "Pan et al. 2018, arXiv:1807.09441"
_SE = "Hu et al. 2018, arXiv:1709.01507"
_NEXT = "Xie et al. 2017, arXiv:1611.05431"


def _osnet(channels: tuple[int, int, int, int], parameters: float, kind: Kind = "plain") -> Backbone:
    return Backbone(
        lambda _: OSNet(channels, kind=kind),
        lambda _: OSNet((8, 64, 64, 64), kind=kind, feature_dim=32, blocks=1),
        parameters,
        0,
        _OSNET if kind != "ain" else _OSNET_AIN,
    )


def _resnet(make: Callable[..., ResNet], blocks: tuple[int, int, int, int], parameters: float, paper: str) -> Backbone:
    return Backbone(
        lambda stride: make(blocks, last_stride=stride),
        lambda stride: make((1, 1, 1, 2), last_stride=stride, width=16),
        parameters,
        1000,
        paper,
    )


_basic = partial(ResNet, basic=True)
_ibn_a = partial(ResNet, ibn="a")
_ibn_b = partial(ResNet, ibn="b")
_se = partial(ResNet, squeeze_excite=True)
_next = partial(ResNet, groups=32)
_se_next = partial(ResNet, groups=32, squeeze_excite=True)
_TINY_MOBILENET = ((1, 8, 1, 1), (2, 8, 2, 2), (2, 16, 1, 2))

BACKBONES: dict[str, Backbone] = {
    "osnet_x0_25": _osnet((16, 64, 96, 128), 0.2),
    "osnet_x0_5": _osnet((32, 128, 192, 256), 0.6),
    "osnet_x0_75": _osnet((48, 192, 288, 384), 1.3),
    "osnet_x1_0": _osnet((64, 256, 384, 512), 2.2),
    "osnet_ibn_x1_0": _osnet((64, 256, 384, 512), 2.2, "ibn"),
    "osnet_ain_x1_0": _osnet((64, 256, 384, 512), 2.2, "ain"),
    "resnet18": _resnet(_basic, (2, 2, 2, 2), 11.689512, _RESNET),
    "resnet34": _resnet(_basic, (3, 4, 6, 3), 21.797672, _RESNET),
    "resnet50": _resnet(ResNet, (3, 4, 6, 3), 25.557032, _RESNET),
    "resnet101": _resnet(ResNet, (3, 4, 23, 3), 44.54916, _RESNET),
    "resnet50_ibn_a": _resnet(_ibn_a, (3, 4, 6, 3), 25.557032, _IBN),
    "resnet50_ibn_b": _resnet(_ibn_b, (3, 4, 6, 3), 25.6, _IBN),
    "resnet101_ibn_a": _resnet(_ibn_a, (3, 4, 23, 3), 44.54916, _IBN),
    "se_resnet50": _resnet(_se, (3, 4, 6, 3), 28.088024, _SE),
    "resnext50": _resnet(_next, (3, 4, 6, 3), 25.028904, _NEXT),
    "se_resnext50": _resnet(_se_next, (3, 4, 6, 3), 27.559896, _SE),
    "mobilenet_v2": Backbone(
        lambda _: MobileNetV2(),
        lambda _: MobileNetV2(_TINY_MOBILENET, stem=8, dim=32),
        3.504872,
        1000,
        "Sandler et al. 2018, arXiv:1801.04381",
    ),
    "inception_v2": Backbone(
        lambda _: InceptionV2(),
        lambda _: InceptionV2(divide=8),
        11.29524,
        1000,
        "Ioffe, Szegedy 2015, arXiv:1502.03167",
    ),
}


def build_backbone(name: str, last_stride: int) -> nn.Module:
    """An untrained backbone.

    Args:
        name: of the table; "tiny:NAME", its small twin for tests; or "timm:NAME".
        last_stride: stride of the last stage, where the backbone has a choice.

    Raises:
        ConfigError: an unknown backbone (with the nearest known one).
        MissingExtraError: "timm:NAME" without timm.
    """
    if name.startswith("timm:"):
        return TimmBackbone(name.removeprefix("timm:"))
    known = name.removeprefix("tiny:")
    if known not in BACKBONES:
        raise ConfigError(unknown_name("backbone", known, BACKBONES) + ', or "timm:NAME"')
    entry = BACKBONES[known]
    return (entry.factory if known == name else entry.tiny)(last_stride)

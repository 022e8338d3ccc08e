"""timm models as backbones: with a stand-in module everywhere, and with timm itself where it can be imported."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from passerby.config import ModelConfig
from passerby.errors import ConfigError, MissingExtraError
from passerby.models.model import build_model


class Fake(nn.Module):
    """Gives maps, channels-last maps, or tokens with and without a class token."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layer = nn.Conv2d(3, 6, 32, 32)
        self.num_prefix_tokens = 1 if kind == "class token" else 0
        self.output_fmt = "NHWC" if kind == "channels last" else "NCHW"

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "fixed size":
            assert x.shape[2] == 224, "expected 224"
        maps = self.layer(x)
        if self.kind == "channels last":
            return maps.permute(0, 2, 3, 1)  # type: ignore[no-any-return]
        tokens = maps.flatten(2).transpose(1, 2)
        return {"map": maps, "pooled": maps.mean((2, 3))}.get(self.kind, tokens)  # type: ignore[no-any-return]


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool, num_classes: int, global_pool: str, **more: Any) -> nn.Module:
        assert (pretrained, num_classes, global_pool) == (False, 0, "")
        if more and "token" not in name:
            raise TypeError("unexpected keyword argument 'dynamic_img_size'")
        return Fake(name)

    names = ["map", "channels last", "class token", "tokens", "pooled", "fixed size"]
    module = SimpleNamespace(is_model=lambda n: n in names, list_models=lambda: names, create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.parametrize(
    ("kind", "rows", "columns"),
    [("map", 8, 4), ("channels last", 8, 4), ("class token", 1, 1), ("tokens", 32, 1), ("pooled", 1, 1)],
)
@pytest.mark.usefixtures("fake_timm")
def test_whatever_a_model_gives_becomes_a_map(kind: str, rows: int, columns: int) -> None:
    model = build_model(ModelConfig(backbone=f"timm:{kind}"))
    images = torch.randn(2, 3, 256, 128)
    maps = model.backbone(images)
    assert maps.shape == (2, 6, rows, columns)
    timms: Any = model.backbone.model
    reference = timms.layer(images)
    if kind == "class token":
        torch.testing.assert_close(maps[:, :, 0, 0], reference[:, :, 0, 0])
    else:
        torch.testing.assert_close(maps.mean((2, 3)), reference.mean((2, 3)))
    assert model(images).embedding.shape == (2, 6)


@pytest.mark.usefixtures("fake_timm")
def test_wrong_names_and_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown timm model 'mapp': did you mean map"):
        build_model(ModelConfig(backbone="timm:mapp"))
    with pytest.raises(ConfigError, match="cannot read images of 256x128"):
        build_model(ModelConfig(backbone="timm:fixed size"))


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"passerby\[timm\]"):
        build_model(ModelConfig(backbone="timm:resnet18"))


def test_a_torchvision_that_does_not_fit_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "timm":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ConfigError, match="torchvision that fits this torch"):
        build_model(ModelConfig(backbone="timm:resnet18"))


def real_timm() -> ModuleType:
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported here: {error}")
    return timm  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_atto"])
def test_real_timm_models_read_256x128(name: str) -> None:
    real_timm()
    model = build_model(ModelConfig(backbone=f"timm:{name}")).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 256, 128)).embedding.shape == (1, model.dim)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("resnet18", "resnet18"), ("se_resnet50", "seresnet50"), ("se_resnext50", "seresnext50_32x4d")],
)
def test_our_residual_networks_compute_what_timms_compute(ours: str, theirs: str) -> None:
    other = real_timm().create_model(theirs, pretrained=False).eval()
    model = build_model(ModelConfig(backbone=ours, last_stride=2)).eval()
    model.backbone.load_state_dict({k: v for k, v in other.state_dict().items() if not k.startswith("fc.")})
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.backbone(images), other.forward_features(images))

"""What every line of BACKBONES promises, checked on its tiny variant; parameter counts on the full size."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from passerby.config import ModelConfig
from passerby.errors import ConfigError
from passerby.models.backbones.resnet import IBN
from passerby.models.engines.batch_norm_fusion import fused
from passerby.models.model import BACKBONES, ReIDModel, build_model

NAMES = sorted(BACKBONES)


def tiny(name: str, **settings: object) -> ReIDModel:
    torch.manual_seed(0)
    return build_model(ModelConfig.model_validate({"backbone": f"tiny:{name}", **settings}))


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_gradients_of_every_parameter(name: str) -> None:
    model = tiny(name)
    output = model(images())
    assert output.feature.shape == output.embedding.shape == (4, model.dim)
    assert output.feature.dtype == output.embedding.dtype == torch.float32
    (output.feature.square().sum() + (output.embedding * torch.randn(4, model.dim)).sum()).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
    reached = [bool(p.grad.abs().sum() > 0) for p in model.parameters() if p.grad is not None]
    assert sum(reached) > 0.9 * len(reached)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_treats_each_image_alone(name: str) -> None:
    model = tiny(name).eval()
    with torch.no_grad():
        together, again = model(images()), model(images())
        alone = model(images()[1:2])
    assert torch.equal(together.embedding, again.embedding)
    torch.testing.assert_close(together.embedding[1:2], alone.embedding, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_changes_nothing(name: str) -> None:
    model = tiny(name).eval()
    with torch.no_grad():
        plain = model(images()).feature
        moved = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        other = moved(images().to(memory_format=torch.channels_last)).feature
    torch.testing.assert_close(plain, other, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name: str) -> None:
    model, other = tiny(name), build_model(ModelConfig(backbone=f"tiny:{name}"))
    model(images())
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.eval()(images()).embedding, other.eval()(images()).embedding)


@pytest.mark.parametrize("name", NAMES)
def test_folding_batch_norms_changes_nothing(name: str) -> None:
    model = tiny(name)
    for _ in range(3):
        model(images())  # norms with statistics of their own
    before = {k: v.clone() for k, v in model.state_dict().items()}
    folded = fused(model)
    left = [m for m in folded.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(left) == sum(isinstance(m, IBN) for m in model.modules())
    with torch.no_grad():
        expected = model.eval()(images()).embedding
        torch.testing.assert_close(
            folded(images()).embedding, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max())
        )
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_autocast_keeps_the_vectors_in_float32(name: str) -> None:
    model = tiny(name)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images())
    assert output.feature.dtype == output.embedding.dtype == torch.float32
    assert torch.isfinite(output.embedding).all()


@pytest.mark.parametrize("name", NAMES)
def test_parameter_count_is_the_published_one(name: str) -> None:
    entry = BACKBONES[name]
    with torch.device("meta"):
        model = entry.factory(1)
    count = sum(p.numel() for p in model.parameters()) + entry.classes * (int(cast(int, model.dim)) + 1)
    digits = len(str(entry.parameters).partition(".")[2])
    assert round(count / 1e6, digits) == entry.parameters


# Multiply-adds in 10^9, one image: torchreid's model zoo at 256x128, torchvision's documentation at 224x224
PUBLISHED_GMACS = {
    "osnet_x0_25": 0.08, "osnet_x0_5": 0.27, "osnet_x0_75": 0.57, "osnet_x1_0": 0.98, "osnet_ibn_x1_0": 0.98,
    "osnet_ain_x1_0": 0.98, "resnet18": 1.81, "resnet34": 3.66, "resnet50": 4.09, "resnet101": 7.80, "resnext50": 4.23,
    "mobilenet_v2": 0.30,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED_GMACS)
def test_multiply_adds_are_the_published_ones(name: str) -> None:
    size = (256, 128) if name.startswith("osnet") else (224, 224)
    with torch.device("meta"):
        model = BACKBONES[name].factory(2).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, *size))
    assert round(counter.get_total_flops() / 2e9, 2) == pytest.approx(PUBLISHED_GMACS[name], abs=0.0101)


@pytest.mark.parametrize(("stride", "rows"), [(1, 16), (2, 8)])
def test_last_stride_decides_the_resolution(stride: int, rows: int) -> None:
    model = tiny("resnet50", last_stride=stride)
    assert model.backbone(torch.zeros(1, 3, 256, 128)).shape[2:] == (rows, rows // 2)


def test_instance_norms_stand_where_ibn_net_puts_them() -> None:
    with torch.device("meta"):
        keys = set(BACKBONES["resnet50_ibn_a"].factory(1).state_dict())
        b = set(BACKBONES["resnet50_ibn_b"].factory(1).state_dict())
    assert {"layer1.0.bn1.IN.weight", "layer1.0.bn1.BN.running_mean", "layer3.5.bn1.IN.bias"} <= keys
    assert "layer4.0.bn1.weight" in keys
    assert {k.split(".IN.")[0] for k in b if ".IN." in k} == {"layer1.2", "layer2.3"}
    assert "bn1.running_mean" not in b


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x1_0"])
def test_without_its_last_pooling_osnet_keeps_weights_and_doubles_the_map(name: str) -> None:
    published, finer = tiny(name), tiny(name, last_pool=False)
    finer.load_state_dict(published.state_dict())
    assert published.backbone(images()).shape[2:] == (4, 2)
    assert finer.backbone(images()).shape[2:] == (8, 4)


def test_only_osnet_has_a_last_pooling() -> None:
    with pytest.raises(ConfigError, match=r"last_pool: false needs an OSNet, found model\.backbone = 'tiny:resnet18'"):
        tiny("resnet18", last_pool=False)

"""Activations that are computed again change no gradient and no statistic, in any backbone."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.errors import ConfigError
from passerby.models.model import BACKBONES, ReIDModel, build_model
from passerby.training.objective import Objective
from passerby.training.step import Step

LABELS = torch.arange(8) // 2


def trained(backbone: str, *, recompute: bool, micro_batch: int = 0) -> tuple[ReIDModel, dict[str, Tensor], int]:
    """A model after one step's backward, its gradients, and how often its layers ran."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone)).train()
    objective = Objective({"softmax": TermConfig(), "lin": TermConfig()}, num_ids=4, dim=model.dim)
    runs: list[int] = []
    for module in model.backbone.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_: runs.append(1))
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run = RunConfig(recompute=recompute, micro_batch=micro_batch)
    step = Step(model, objective, scaler, run, device=torch.device("cpu"))
    images = torch.randn(8, 3, 64, 32, generator=torch.Generator().manual_seed(1))
    step(images, LABELS, seed=(0, 0, 0, 0))
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return model, grads, len(runs)


def assert_same(
    ours: tuple[ReIDModel, dict[str, Tensor], int], expected: tuple[ReIDModel, dict[str, Tensor], int]
) -> None:
    model, gradients, runs = ours
    kept, kept_gradients, kept_runs = expected
    assert runs > 1.5 * kept_runs  # it did compute again
    assert gradients.keys() == kept_gradients.keys()
    for name, gradient in kept_gradients.items():
        assert torch.equal(gradients[name], gradient), name
    buffers = dict(model.named_buffers())
    assert any(name.endswith("running_mean") for name in buffers)
    for name, buffer in kept.named_buffers():
        assert torch.equal(buffers[name], buffer), name


@pytest.mark.parametrize("name", BACKBONES)
def test_gradients_and_statistics_are_those_of_kept_activations(name: str) -> None:
    backbone = f"tiny:{name}"
    assert_same(trained(backbone, recompute=True), trained(backbone, recompute=False))


def test_it_goes_together_with_groups() -> None:
    backbone = "tiny:resnet50_ibn_a"
    assert_same(trained(backbone, recompute=True, micro_batch=4), trained(backbone, recompute=False, micro_batch=4))


class Timm(nn.Module):
    """Stands in for a timm model, whose own recomputation counts statistics twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.wanted = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        self.wanted = enable

    def forward(self, x: Tensor) -> Tensor:
        if self.wanted:
            again: Tensor = torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False)
            return again
        return self.body(x)  # type: ignore[no-any-return]


class Unable(Timm):
    """A timm model without recomputation says so by an assertion."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        assert not enable, "gradient checkpointing not supported"


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("timm")
    kinds = {"able": Timm, "unable": Unable}
    module.is_model = lambda name: name in kinds  # type: ignore[attr-defined]
    module.list_models = lambda: list(kinds)  # type: ignore[attr-defined]
    module.create_model = lambda name, **_: kinds[name]()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.usefixtures("timm")
def test_timm_recomputes_by_itself_and_statistics_are_kept() -> None:
    assert_same(trained("timm:able", recompute=True), trained("timm:able", recompute=False))


@pytest.mark.usefixtures("timm")
def test_a_timm_model_that_cannot_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"run\.recompute: the backbone 'timm:unable' cannot"):
        trained("timm:unable", recompute=True)

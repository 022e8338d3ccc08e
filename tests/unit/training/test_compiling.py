"""A compiled backbone trains as before under its plain names; one that cannot be compiled trains all the same."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.models.model import ReIDModel, build_model
from passerby.training import compiling
from passerby.training.compiling import compile_backbone
from passerby.training.objective import Objective
from passerby.training.step import Step

IMAGES = torch.randn(4, 3, 32, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def network() -> ReIDModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="tiny:resnet18")).train()


def trained(model: ReIDModel) -> dict[str, Tensor]:
    model(IMAGES).embedding.square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | dict(model.named_buffers())


def no_compiler(graph: object, inputs: object) -> object:
    raise RuntimeError("no C++ compiler found")


@pytest.mark.slow
def test_without_a_compiler_the_log_says_why_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiling, "BACKEND", no_compiler)
    model = network()
    with caplog.at_level(logging.WARNING, "passerby"):
        assert not compile_backbone(model, IMAGES, precision=torch.float32)
    (record,) = (r for r in caplog.records if r.name == "passerby")
    assert "goes on without" in record.getMessage()
    assert "no C++ compiler found" in record.getMessage()
    assert "\n" not in record.getMessage()
    expected, ours = trained(network()), trained(model)
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(ours[name], tensor), name


@pytest.mark.slow
def test_trying_it_out_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    model = network()
    assert compile_backbone(model, IMAGES, precision=torch.bfloat16)
    assert all(p.grad is None for p in model.parameters())
    for name, tensor in network().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert copy.deepcopy(model).state_dict().keys() == network().state_dict().keys()


def steps(model: ReIDModel, run: RunConfig) -> dict[str, Tensor]:
    """Gradients and statistics after two steps."""
    objective = Objective({"softmax": TermConfig()}, num_ids=2, dim=model.dim)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    step = Step(model, objective, scaler, run, device=torch.device("cpu"))
    for i in range(2):
        model.zero_grad()
        step(IMAGES, torch.tensor([0, 0, 1, 1]), seed=(0, 0, i, 0))
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | dict(model.named_buffers())


@pytest.mark.slow
@pytest.mark.parametrize("run", [RunConfig(), RunConfig(micro_batch=2), RunConfig(recompute=True)])
def test_a_traced_backbone_trains_as_an_eager_one(monkeypatch: pytest.MonkeyPatch, run: RunConfig) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    expected = steps(network(), run)
    model = network()
    ours = steps(model, run.model_copy(update={"compile": True}))
    can = not run.recompute or compiling._torch_version() >= compiling.RECOMPUTES_SINCE
    assert (model.backbone._compiled_call_impl is not None) == can
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


def test_an_old_torch_does_not_compile_what_is_recomputed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.0+cpu")
    model = network()
    assert not compile_backbone(model, IMAGES, precision=torch.float32, recompute=True)
    assert model.backbone._compiled_call_impl is None
    assert "needs torch 2.10 or later, found 2.8.0+cpu" in caplog.text

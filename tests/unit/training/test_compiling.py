"""A compiled backbone trains as before under its plain names; one that cannot be compiled trains all the same.

torch.compile works in a process of its own: what it does to an interpreter outlives a test.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from contextlib import closing

import pytest
import torch
from tests.forked import Forked
from torch import Tensor

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.models.model import ReIDModel, build_model
from passerby.training import compiling
from passerby.training.compiling import compile_backbone
from passerby.training.objective import Objective
from passerby.training.step import Step

IMAGES = torch.randn(4, 3, 32, 16, generator=torch.Generator().manual_seed(1))
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def alone(function: Callable[..., None], *arguments: object) -> None:
    """Call a function of this module in a process of its own."""
    with closing(Forked(function, *arguments)) as process:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors


def network() -> ReIDModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="tiny:resnet18")).train()


def trained(model: ReIDModel) -> dict[str, Tensor]:
    model(IMAGES).embedding.square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | dict(model.named_buffers())


def no_compiler(graph: object, inputs: object) -> object:
    raise RuntimeError("no C++ compiler found")


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def trains_without_a_compiler() -> None:
    compiling.BACKEND = no_compiler  # type: ignore[assignment]
    records = Records()
    logging.getLogger("passerby").addHandler(records)
    model = network()
    assert not compile_backbone(model, IMAGES, precision=torch.float32)
    (message,) = records.messages
    assert "goes on without" in message
    assert "no C++ compiler found" in message
    assert "\n" not in message
    expected, ours = trained(network()), trained(model)
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(ours[name], tensor), name


def leaves_no_trace() -> None:
    compiling.BACKEND = "aot_eager"
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


def trains_as_an_eager_one(run: RunConfig) -> None:
    compiling.BACKEND = "aot_eager"
    expected = steps(network(), run)
    model = network()
    ours = steps(model, run.model_copy(update={"compile": True}))
    can = not run.recompute or compiling._torch_version() >= compiling.RECOMPUTES_SINCE
    assert (model.backbone._compiled_call_impl is not None) == can
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


@forks
@pytest.mark.slow
def test_without_a_compiler_the_log_says_why_and_training_goes_on() -> None:
    alone(trains_without_a_compiler)


@forks
@pytest.mark.slow
def test_trying_it_out_leaves_no_trace() -> None:
    alone(leaves_no_trace)


@forks
@pytest.mark.slow
@pytest.mark.parametrize("run", [RunConfig(), RunConfig(micro_batch=2), RunConfig(recompute=True)])
def test_a_traced_backbone_trains_as_an_eager_one(run: RunConfig) -> None:
    alone(trains_as_an_eager_one, run)


def test_an_old_torch_does_not_compile_what_is_recomputed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.0+cpu")
    model = network()
    assert not compile_backbone(model, IMAGES, precision=torch.float32, recompute=True)
    assert model.backbone._compiled_call_impl is None
    assert "needs torch 2.10 or later, found 2.8.0+cpu" in caplog.text

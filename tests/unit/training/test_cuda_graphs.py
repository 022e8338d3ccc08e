"""Recorded kernels compute what others do; where nothing can be recorded, training goes on without."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.models.model import ReIDModel, build_model
from passerby.training.cuda_graphs import record_backbone
from passerby.training.objective import Objective
from passerby.training.step import Step

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="CUDA graphs need an Nvidia GPU, and there is none"
)


def _model(device: str) -> ReIDModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="osnet_x0_25")).train().to(device)


def _images(device: str, count: int = 8, height: int = 64) -> Tensor:
    return torch.randn(count, 3, height, 32, generator=torch.Generator().manual_seed(1)).to(device)


def _step(model: ReIDModel, device: str, run: RunConfig) -> Step:
    objective = Objective({"softmax": TermConfig()}, num_ids=4, dim=model.widths).to(device)
    scaler = torch.amp.GradScaler(device, enabled=False)
    return Step(model, objective, scaler, run, device=torch.device(device))


@pytest.mark.skipif(torch.cuda.is_available(), reason="recording works here")
def test_a_network_that_cannot_be_recorded_is_left_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    model = _model("cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        assert record_backbone(model, _images("cpu"), precision=torch.float32) is None
    assert "run.cuda_graphs: goes on without" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_cpu_records_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = _model("cpu")
    labels = torch.arange(4).repeat_interleave(2)
    _step(model, "cpu", RunConfig(cuda_graphs=True))(_images("cpu"), labels, seed=(0,))
    assert "cuda_graphs" not in caplog.text
    assert any(p.grad is not None for p in model.parameters())


@needs_gpu
@pytest.mark.parametrize("frozen", [False, True])
def test_recorded_steps_equal_others(frozen: bool) -> None:
    labels = torch.arange(4, device="cuda").repeat_interleave(2)
    found = []
    for graphs in (False, True):
        model = _model("cuda")
        if frozen:
            model.backbone.requires_grad_(False).eval()
        step = _step(model, "cuda", RunConfig(cuda_graphs=graphs))
        for number, height in enumerate((64, 64, 32, 64)):  # images that grow are recorded again
            model.zero_grad(set_to_none=True)
            step(_images("cuda", height=height), labels, seed=(number,))
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((gradients, dict(model.state_dict())))
    (gradients, state), (recorded, recorded_state) = found
    assert gradients.keys() == recorded.keys()
    for name in gradients:
        torch.testing.assert_close(recorded[name], gradients[name], rtol=1e-3, atol=1e-5)
    for name in state:
        torch.testing.assert_close(recorded_state[name], state[name], rtol=1e-3, atol=1e-5)

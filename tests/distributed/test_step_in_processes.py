"""One process in one pass, or many in two: the same gradients."""

from __future__ import annotations

import pytest
import torch
from tests.distributed.processes import run_in_processes
from torch import Tensor, nn

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.distributed import rank, world_size
from passerby.models.model import build_model
from passerby.training.objective import Objective
from passerby.training.step import Step

LABELS = torch.arange(16) // 4
TERMS = {"softmax": TermConfig(), "batch_hard_triplet": TermConfig(weight=0.5), "lin": TermConfig()}


def gradients(micro_batch: int) -> dict[str, Tensor]:
    """Of this process's share of one batch, after the second of two steps."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone="tiny:resnet18", neck="none", fc_dims=(16,))).double().train()
    for module in model.modules():  # batch norm would see another part of the batch in each process
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    objective = Objective(TERMS, num_ids=4, dim=model.dim).double()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run = RunConfig(micro_batch=micro_batch)
    backpropagate = Step(model, objective, scaler, run, device=torch.device("cpu"))
    backpropagate.replicate()
    share = len(LABELS) // world_size()
    mine = slice(rank() * share, (rank() + 1) * share)
    images = torch.randn(16, 3, 32, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for _ in range(2):
        model.zero_grad()
        objective.zero_grad()
        backpropagate(images[mine], LABELS[mine], seed=(0, 0, 0, rank()))
    named = [*model.named_parameters(), *objective.named_parameters()]
    return {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}


def both(micro_batch: int) -> list[dict[str, Tensor]]:
    return [gradients(0), gradients(micro_batch)]


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
def test_two_passes_in_processes_give_the_gradient_of_one_pass_in_one(world: int) -> None:
    expected = gradients(0)
    for ways in run_in_processes(world, both, 3):
        for ours in ways:
            assert ours.keys() == expected.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(ours[name], gradient, rtol=1e-9, atol=1e-11)

"""Distillation against a slow loop written from the formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from passerby.errors import EmbeddingError
from passerby.losses.distillation import DistillationLoss


def vectors(rows: int, length: int, seed: int) -> Tensor:
    return torch.randn(rows, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def formula(x: Tensor, teacher: Tensor, weights: Tensor) -> float:
    total = 0.0
    for i in range(len(x)):
        mapped = [sum(float(w) * float(v) for w, v in zip(row, x[i], strict=True)) for row in weights]
        dot = sum(m * float(t) for m, t in zip(mapped, teacher[i], strict=True))
        lengths = math.sqrt(sum(m * m for m in mapped)) * math.sqrt(sum(float(t) ** 2 for t in teacher[i]))
        total += 1 - dot / lengths
    return total / len(x)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(2, 5), st.integers(0, 1000))
def test_value_is_the_formulas(rows: int, dim: int, teacher_dim: int, seed: int) -> None:
    loss = DistillationLoss(dim, teacher_dim).double()
    x, teacher = vectors(rows, dim, seed), vectors(rows, teacher_dim, seed + 1)
    expected = formula(x, teacher, loss.projection.weight.detach())
    assert loss(x, teacher).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradient_is_the_difference_quotient() -> None:
    loss = DistillationLoss(4, 5).double()
    x, teacher = vectors(6, 4, 0).requires_grad_(), vectors(6, 5, 1)
    assert torch.autograd.gradcheck(lambda x, _: loss(x, teacher), [x, loss.projection.weight])


def test_a_linear_map_of_the_teacher_costs_nothing() -> None:
    teacher, turn = vectors(7, 4, 2), vectors(4, 4, 3)
    loss = DistillationLoss(4, 4).double()
    with torch.no_grad():
        loss.projection.weight.copy_(torch.linalg.inv(turn).T)
    assert loss(3 * teacher @ turn, teacher).item() == pytest.approx(0, abs=1e-12)
    assert loss(vectors(7, 4, 5), teacher).item() > 0.1


def test_an_empty_batch_costs_nothing_and_stays_connected() -> None:
    loss, x = DistillationLoss(4, 3), torch.zeros(0, 4, requires_grad=True)
    value = loss(x, torch.zeros(0, 3))
    value.backward()
    assert value.item() == 0
    assert loss.projection.weight.grad is not None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(EmbeddingError, match="teacher's vectors"):
        DistillationLoss(2, 3)(torch.ones(4, 2), torch.ones(3, 3))
    with pytest.raises(EmbeddingError, match="teacher's vectors"):
        DistillationLoss(2, 3)(torch.ones(4, 2), torch.ones(4, 2))
    with pytest.raises(EmbeddingError, match=r"vectors \[B, 2\].*found \[4, 5\]"):
        DistillationLoss(2, 3)(torch.ones(4, 5), torch.ones(4, 3))

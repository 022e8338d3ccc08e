"""detach_weights: the value stays, and the gradient is that of the formula with its weights held fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from passerby.losses import LOSSES

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4])
Formula = Callable[[list[Tensor], list[Tensor]], "Tensor | None"]


def points() -> Tensor:
    return torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def held_fixed(values: list[Tensor], of: list[Tensor], weight: Callable[[float], float]) -> Tensor:
    """Weighted mean of `values`, the weights numbers computed from `of`."""
    weights = [weight(d.item()) for d in of]
    return sum((w * v for w, v in zip(weights, values, strict=True)), torch.zeros((), dtype=torch.float64)) / sum(
        weights
    )


def e(x: float) -> float:
    return float(torch.tensor(x, dtype=torch.float64).exp())


def hap2s(near: list[Tensor], far: list[Tensor]) -> Tensor | None:
    if not near or not far:
        return None
    return (held_fixed(near, near, lambda d: e(d / 0.5)) - held_fixed(far, far, lambda d: e(-d / 0.5)) + 0.3).relu()


def polynomial(near: list[Tensor], far: list[Tensor]) -> Tensor | None:
    if not near or not far:
        return None
    gap = held_fixed(near, near, lambda d: (1 + d) ** 10) - held_fixed(far, far, lambda d: (1 + d) ** -20)
    return (gap + 0.3).relu()


def adaptive(near: list[Tensor], far: list[Tensor]) -> Tensor | None:
    if not near or not far:
        return None
    return softplus(held_fixed(near, near, e) - held_fixed(far, far, lambda d: e(-d)))


def lin(near: list[Tensor], far: list[Tensor]) -> Tensor:
    pull = sum(((d - 0.7).relu() for d in near), torch.zeros((), dtype=torch.float64)) / max(len(near), 1)
    return pull + held_fixed([2 - d for d in far], far, lambda d: e(-d) * e(2 - d))


def lin_code(near: list[Tensor], far: list[Tensor]) -> Tensor:
    pull = sum(((d - 0.7).relu() for d in near), torch.zeros((), dtype=torch.float64)) / max(len(near), 1)
    return pull + held_fixed([2 - d for d in far], far, lambda d: e(2 - d))


def ranked_list(near: list[Tensor], far: list[Tensor]) -> Tensor:
    late, early = [d - 0.8 for d in near if d > 0.8], [d for d in far if d < 1.2]
    zero = torch.zeros((), dtype=torch.float64)
    push = held_fixed([1.2 - d for d in early], early, lambda d: e(10 * (1.2 - d))) if early else zero
    return sum(late, zero) / max(len(late), 1) + push


CASES: list[tuple[str, dict[str, Any], bool, Formula]] = [
    ("hap2s", {}, False, hap2s),
    ("hap2s", {"weighting": "polynomial"}, False, polynomial),
    ("hap2s", {"normalize": True}, True, hap2s),
    ("adaptive_weighted_triplet", {}, False, adaptive),
    ("lin", {}, True, lin),
    ("lin", {"form": "code"}, True, lin_code),
    ("ranked_list", {}, True, ranked_list),
]


@pytest.mark.parametrize(("name", "arguments", "unit", "formula"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_value_and_gradient_with_weights_held_fixed(
    name: str, arguments: dict[str, Any], unit: bool, formula: Formula
) -> None:
    x = points().requires_grad_()
    loss = LOSSES[name](detach_weights=True, **arguments)
    value = loss(x, LABELS)
    torch.testing.assert_close(value, LOSSES[name](**arguments)(x, LABELS))
    f = normalize(x) if unit else x
    terms = []
    for a in range(len(LABELS)):
        near = [(f[a] - f[j]).norm() for j in range(len(LABELS)) if j != a and LABELS[j] == LABELS[a]]
        far = [(f[a] - f[j]).norm() for j in range(len(LABELS)) if LABELS[j] != LABELS[a]]
        terms.append(formula(near, far))
    slow = torch.stack([term for term in terms if term is not None]).mean()
    torch.testing.assert_close(value, slow, rtol=1e-9, atol=1e-9)
    slopes = [torch.autograd.grad(v, x)[0] for v in (value, slow)]
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-9)
    full = torch.autograd.grad(LOSSES[name](**arguments)(x, LABELS), x)[0]
    assert (full - slopes[0]).abs().max() > 1e-6  # the gradient through the weights was there


@pytest.mark.parametrize("form", ["paper", "code"])
def test_lin_pulls_easy_negatives_in_unless_its_weights_are_constant(form: str) -> None:
    """One anchor's distances: the far negative's slope has the wrong sign with the full gradient."""
    slopes = {}
    for detach in (False, True):
        d = torch.tensor([[0.0, 0.2, 1.9]], dtype=torch.float64, requires_grad=True)
        loss: Any = LOSSES["lin"](form=form, temperature=3.0, detach_weights=detach)
        total, _ = loss._block(d, torch.zeros(1, 3, dtype=torch.float64), torch.tensor([[0.0, 1.0, 1.0]]).double())
        slopes[detach] = torch.autograd.grad(total.sum(), d)[0][0]
    assert slopes[False][2] > 0  # descent shortens the distance
    assert slopes[True][2] < 0
    assert slopes[True][1] < 0

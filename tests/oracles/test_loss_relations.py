"""What the losses must have to do with each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from passerby.losses import LOSSES

RAGGED = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4])


def points(seed: int, rows: int = len(RAGGED), dim: int = 4) -> Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def value(name: str, x: Tensor, labels: Tensor = RAGGED, **arguments: Any) -> float:
    return float(LOSSES[name](**arguments)(x, labels).item())


seeds = given(seed=st.integers(0, 2**31))
few = settings(max_examples=20, deadline=None)


@few
@seeds
@pytest.mark.parametrize("margin", [None, 0.3])
def test_adaptive_weights_are_hap2s_with_sigma_1(seed: int, margin: float | None) -> None:
    x = points(seed)
    assert value("adaptive_weighted_triplet", x, margin=margin) == value("hap2s", x, sigma=1.0, margin=margin)


@few
@seeds
def test_hap2s_tends_to_batch_hard(seed: int) -> None:
    x = points(seed)
    hard = value("batch_hard_triplet", x)
    assert value("hap2s", x, sigma=1e-7) == pytest.approx(hard, abs=1e-5)
    assert value("hap2s", x, weighting="polynomial", alpha=1e8) == pytest.approx(hard, abs=1e-5)


@few
@seeds
def test_hap2s_tends_to_plain_means(seed: int) -> None:
    x = points(seed)
    exponential = value("hap2s", x, sigma=1e12)
    assert value("hap2s", x, weighting="polynomial", alpha=0.0) == pytest.approx(exponential, abs=1e-9)


@few
@seeds
def test_the_harder_the_larger(seed: int) -> None:
    x, labels = points(seed, 12), torch.arange(12) // 3
    worst, hard, every = (value(name, x, labels, margin=0.3) for name in ("msml", "batch_hard_triplet", "triplet"))
    assert worst >= hard - 1e-12
    assert hard >= every - 1e-12


@few
@seeds
def test_thresholded_without_its_absolute_term_is_the_squared_triplet(seed: int) -> None:
    x = points(seed)
    expected = value("triplet", x, margin=1.5, squared=True) - 1.5
    assert value("thresholded_triplet", x, tau1=-1.5, beta=0.0) == pytest.approx(expected, abs=1e-10)


@few
@seeds
def test_improved_is_triplet_plus_the_positive_distance(seed: int) -> None:
    x = points(seed)
    d = torch.cdist(x, x)
    triplets = [(a, p) for a in range(11) for p in range(11) if a != p and RAGGED[a] == RAGGED[p]]
    weights = [int((RAGGED[a] != RAGGED).sum()) for a, _ in triplets]
    positive = sum(w * d[a, p].item() for (a, p), w in zip(triplets, weights, strict=True)) / sum(weights)
    assert value("improved_triplet", x) == pytest.approx(value("triplet", x) + positive, abs=1e-10)


@few
@seeds
def test_lin_on_paper_is_its_code_one_temperature_higher(seed: int) -> None:
    x = points(seed)
    assert value("lin", x, temperature=1.5) == pytest.approx(value("lin", x, temperature=2.5, form="code"), abs=1e-12)


@few
@seeds
def test_lin_is_a_ranked_list(seed: int) -> None:
    x = points(seed)
    ranked = value("ranked_list", x, alpha=2.0, margin=2.0, temperature=3.0)
    assert value("lin", x, radius=0.0, temperature=2.0) == pytest.approx(ranked, abs=1e-10)


@few
@seeds
def test_convex_ranked_list_is_half_the_sum(seed: int) -> None:
    x = points(seed)
    half = value("ranked_list", x, combine="convex", balance=0.5)
    assert half == pytest.approx(value("ranked_list", x) / 2, abs=1e-12)


@few
@seeds
def test_deepid_is_half_of_the_overview(seed: int) -> None:
    x = points(seed)
    assert value("contrastive", x, form="deepid") == pytest.approx(value("contrastive", x) / 2, abs=1e-12)


def test_quadruplet_without_room_for_a_weak_push_is_the_triplet() -> None:
    x, labels = points(1, 6), torch.tensor([0, 0, 0, 1, 1, 1])
    assert value("quadruplet", x, labels) == pytest.approx(value("batch_hard_triplet", x, labels, margin=1.0))
    assert value("quadruplet", x, labels, mining="all") == pytest.approx(value("triplet", x, labels, margin=1.0))


def test_center_forms_differ_by_their_factors() -> None:
    losses: list[Any]
    x, losses = points(2), [LOSSES["center"](5, 4, form=form).double() for form in ("half_mean", "half_sum", "mean")]
    for loss in losses:
        loss.centers.copy_(losses[0].centers)
    half_mean, half_sum, mean = (loss.eval()(x, RAGGED).item() for loss in losses)
    assert half_sum == pytest.approx(len(x) * half_mean)
    assert mean == pytest.approx(2 * half_mean)


def test_center_invariant_without_invariance_is_the_center_loss() -> None:
    invariant: Any
    x, invariant = points(2), LOSSES["center_invariant"](5, 4, weight=0.0).double()
    center: Any = LOSSES["center"](5, 4).double().eval()
    center.centers.copy_(invariant.centers.detach())
    torch.testing.assert_close(invariant(x, RAGGED), center(x, RAGGED))


def test_sphere_softmax_is_softmax_of_directions() -> None:
    sphere: Any
    x, sphere = points(2), LOSSES["sphere_softmax"](5, 4, scale=7.0).double()
    plain: Any = LOSSES["softmax"](5, 4).double()
    plain.weight.data = 7.0 * torch.nn.functional.normalize(sphere.weight.data)
    torch.testing.assert_close(sphere(x, RAGGED), plain(torch.nn.functional.normalize(x), RAGGED))


def test_sphere_softmax_has_a_floor() -> None:
    """Weights on a simplex and every image on its weight: no batch can do better."""
    simplex = torch.eye(5, dtype=torch.float64) - 0.2
    loss = LOSSES["sphere_softmax"](5, 5).double()
    loss.weight.data = simplex
    floor = torch.tensor(1 + 4 * torch.tensor(-14 * 5 / 4, dtype=torch.float64).exp().item(), dtype=torch.float64).log()
    torch.testing.assert_close(loss(simplex, torch.arange(5)), floor)


@few
@seeds
@pytest.mark.parametrize("name", ["sphere_softmax", "support_neighbor", "ranked_list", "lin"])
def test_length_does_not_matter_on_the_sphere(name: str, seed: int) -> None:
    x = points(seed)
    lengths = 0.1 + 10 * torch.rand(len(x), 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    loss = LOSSES[name](*((5, 4) if name == "sphere_softmax" else ())).double()
    torch.testing.assert_close(loss(x * lengths, RAGGED), loss(x, RAGGED), rtol=1e-9, atol=1e-9)


def test_collapse_is_a_plateau() -> None:
    x = torch.ones(12, 4, requires_grad=True)
    labels = torch.arange(12) // 3
    for margin, expected in ((0.3, 0.3), (None, 0.6931472)):
        loss = LOSSES["batch_hard_triplet"](margin=margin)(x, labels)
        assert loss.item() == pytest.approx(expected)
        assert torch.autograd.grad(loss, x)[0].abs().max() == 0


def test_support_neighbor_squeezes_the_furthest_of_all_positives() -> None:
    """Its abstract: the nearest positive neighbour and the furthest positive sample, which may be no neighbour."""
    angles = torch.tensor([0.0, 0.1, 1.5, 0.2, 0.3], dtype=torch.float64)
    x, labels = torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 0, 1, 1])
    terms = {}
    for squeeze in ("gap", "gap_all"):
        heavy, light = (
            value("support_neighbor", x, labels, neighbors=2, weight=w, squeeze=squeeze) for w in (1.0, 0.0)
        )
        terms[squeeze] = heavy - light
    d = [[(a - b).norm().item() for b in x] for a in x]
    furthest = [(d[0][2] - d[0][1]), (d[1][2] - d[1][0]), (d[2][0] - d[2][1]), 0.0, 0.0]
    assert terms["gap_all"] == pytest.approx(sum(furthest) / 5, abs=1e-9)
    assert terms["gap"] < terms["gap_all"] - 0.1
    assert value("support_neighbor", x, labels, neighbors=2) == value(
        "support_neighbor", x, labels, neighbors=2, squeeze="gap_all"
    )

"""Values against slow loops, gradients against difference quotients, and both against another library."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles.loss_formulas import VARIANTS, Variant
from torch import Tensor

from passerby.losses import LOSSES


@pytest.fixture
def pml() -> ModuleType:
    found: ModuleType = pytest.importorskip(
        "pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed"
    )
    return found


@st.composite
def batches(draw: st.DrawFn, twins: bool = True) -> tuple[Tensor, Tensor]:
    """Ragged batches in float64, also of one image or one identity, some with identical vectors."""
    labels = draw(st.lists(st.integers(0, 7), min_size=1, max_size=10))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(len(labels), 4, generator=generator, dtype=torch.float64) * draw(st.sampled_from([0.3, 1.0, 3.0]))
    x = x + draw(st.sampled_from([0.0, 5.0]))
    if twins and draw(st.booleans()):
        x = x[torch.randint(len(labels), (len(labels),), generator=generator)]
    return x, torch.tensor(labels)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_value_is_the_formulas(variant: Variant) -> None:
    loss = variant.build().eval()

    # twins tie at the border of the neighbourhood and of the semi-hard, where rounding decides
    ties = variant.name == "support_neighbor" or variant.arguments.get("mining") == "semi_hard"

    @settings(max_examples=30, deadline=None)
    @given(batches(twins=not ties))
    def check(batch: tuple[Tensor, Tensor]) -> None:
        x, labels = batch
        assert loss(x, labels).item() == pytest.approx(variant.formula(x, labels, loss), rel=1e-8, abs=1e-7)

    check()


LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4])


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_gradient_is_the_difference_quotient(variant: Variant) -> None:
    loss = variant.build().eval()
    x = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    inputs = [x, *loss.parameters()]
    assert torch.autograd.gradcheck(lambda x, *_: loss(x, LABELS), inputs)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_blocks_of_anchors_do_not_change_the_result(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = variant.build().eval()
    x = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64, requires_grad=True)
    whole = loss(x, LABELS)
    (slope,) = torch.autograd.grad(whole, x)
    monkeypatch.setattr("passerby.losses.distances._BLOCK_ON_CPU", (3 * len(LABELS), 1))
    blocks = loss(x, LABELS)
    torch.testing.assert_close(blocks, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(blocks, x)[0], slope, rtol=1e-12, atol=1e-12)


def draw() -> tuple[Tensor, Tensor]:
    x = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return x.requires_grad_(), LABELS


def same(ours: Tensor, theirs: Tensor, x: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    slopes = torch.autograd.grad(ours, x)[0], torch.autograd.grad(theirs, x)[0]
    torch.testing.assert_close(*slopes, rtol=10 * tolerance, atol=10 * tolerance)


def plain_distance() -> torch.nn.Module:
    from pytorch_metric_learning.distances import LpDistance

    distance: torch.nn.Module = LpDistance(normalize_embeddings=False)
    return distance


def test_triplet_against_pytorch_metric_learning(pml: ModuleType) -> None:
    from pytorch_metric_learning.reducers import MeanReducer

    x, labels = draw()
    theirs = pml.TripletMarginLoss(margin=0.3, distance=plain_distance(), reducer=MeanReducer())
    same(LOSSES["triplet"]()(x, labels), theirs(x, labels), x)


def test_batch_hard_against_pytorch_metric_learning(pml: ModuleType) -> None:
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    x, labels = draw()
    theirs = pml.TripletMarginLoss(margin=0.3, distance=plain_distance(), reducer=MeanReducer())
    mined = BatchHardMiner(distance=plain_distance())(x, labels)
    same(LOSSES["batch_hard_triplet"]()(x, labels), theirs(x, labels, mined), x)


def test_ranked_list_against_pytorch_metric_learning(pml: ModuleType) -> None:
    x, labels = draw()
    x, labels = x[:10], labels[:10]  # it divides by anchors differently where an identity has one image
    theirs = pml.RankedListLoss(margin=0.4, Tn=4, imbalance=0.5, alpha=1.2)
    ours = LOSSES["ranked_list"](temperature=4.0, combine="convex", balance=0.5)
    same(ours(x, labels), theirs(x, labels), x, tolerance=1e-4)  # it adds 1e-5 to every weight in the denominators


def test_sphere_softmax_against_pytorch_metric_learning(pml: ModuleType) -> None:
    x, labels = draw()
    ours: Any = Variant("sphere_softmax").build(num_ids=5)
    theirs = pml.NormalizedSoftmaxLoss(5, 4, temperature=1 / 14).double()
    theirs.W.data = ours.weight.data.T.clone()
    same(ours(x, labels), theirs(x, labels), x)


def test_center_invariance_against_pytorch_metric_learning(pml: ModuleType) -> None:
    from pytorch_metric_learning.regularizers import CenterInvariantRegularizer

    ours = Variant("center_invariant", {"center_weight": 0.0}).build(num_ids=5)
    each = torch.arange(5)
    theirs = CenterInvariantRegularizer()(ours.centers)
    value = ours(torch.zeros(5, 4, dtype=torch.float64), each)
    torch.testing.assert_close(value, theirs.double(), rtol=1e-9, atol=1e-9)


def test_label_smoothing_against_torch() -> None:
    x, labels = draw()
    ours: Any = Variant("softmax", {"label_smoothing": 0.1}).build(num_ids=5)
    logits = x @ ours.weight.T
    same(ours(x, labels), torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1), x)

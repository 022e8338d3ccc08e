"""Sampled class weights in one process (several: tests/distributed)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from passerby.errors import ConfigError, EmbeddingError, WeightsError
from passerby.losses.sharded import ShardedSoftmaxLoss, ShardedSphereSoftmaxLoss
from passerby.losses.softmax import SoftmaxLoss, SphereSoftmaxLoss

each_kind = pytest.mark.parametrize("kind", [ShardedSoftmaxLoss, ShardedSphereSoftmaxLoss])
LABELS = torch.tensor([3, 90, 3, 41, 7])
Kind = type[ShardedSoftmaxLoss] | type[ShardedSphereSoftmaxLoss]


def points() -> Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def rows_with_gradient(loss: Any, x: Tensor) -> set[int]:
    loss.zero_grad()
    loss(x, LABELS).backward()
    return set(torch.nonzero(loss.weight.grad.any(dim=1))[:, 0].tolist())


@each_kind
def test_a_share_takes_part_and_the_batch_always(kind: Kind) -> None:
    loss = kind(100, 6, sample_rate=0.1).double()
    first, second = rows_with_gradient(loss, points()), rows_with_gradient(loss, points())
    assert len(first) == len(second) == 10
    assert first & second >= {3, 7, 41, 90}
    assert first != second


@each_kind
def test_value_is_the_loss_over_those_that_take_part(kind: Kind) -> None:
    loss = kind(100, 6, sample_rate=0.2).double()
    again = copy.deepcopy(loss)
    drawn = sorted(rows_with_gradient(again, points()))
    plain = (SoftmaxLoss if kind is ShardedSoftmaxLoss else SphereSoftmaxLoss)(len(drawn), 6).double()
    plain.weight.data = loss.weight.data[drawn]
    columns = torch.tensor([drawn.index(label) for label in LABELS.tolist()])
    torch.testing.assert_close(loss(points(), LABELS), plain(points(), columns))


def test_unit_vectors_give_the_numbers_of_softmax() -> None:
    loss = ShardedSoftmaxLoss(100, 6, normalize=True).double()
    plain = SoftmaxLoss(100, 6, normalize=True).double()
    plain.weight.data = loss.weight.data.clone()
    ours, theirs = points().requires_grad_(), points().requires_grad_()
    values = loss(ours, LABELS), plain(theirs, LABELS)
    for value in values:
        value.backward()
    torch.testing.assert_close(*values)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(loss.weight.grad, plain.weight.grad)


@each_kind
def test_draws_go_on_after_a_reload(kind: Kind) -> None:
    loss = kind(100, 6, sample_rate=0.1).double()
    loss(points(), LABELS)
    other = kind(100, 6, sample_rate=0.1).double()
    other.load_state_dict(loss.state_dict())
    assert rows_with_gradient(other, points()) == rows_with_gradient(loss, points())


@each_kind
def test_rows_of_another_process_are_refused(kind: Kind) -> None:
    state = kind(100, 6).state_dict()
    state["_extra_state"] = {"first_row": 50, "num_ids": 100}
    with pytest.raises(WeightsError, match="start at row 50 of 100"):
        kind(100, 6).load_state_dict(state)


@each_kind
def test_all_rows_take_part_in_evaluation(kind: Kind) -> None:
    loss = kind(100, 6, sample_rate=0.1).double().eval()
    assert len(rows_with_gradient(loss, points())) == 100


@each_kind
def test_wrong_values_are_refused(kind: Kind) -> None:
    for rate in (0.0, 1.5):
        with pytest.raises(ConfigError, match="sample_rate"):
            kind(100, 6, sample_rate=rate)
    with pytest.raises(EmbeddingError, match=r"0\.\.89"):
        kind(90, 6)(points(), LABELS)

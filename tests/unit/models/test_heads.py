"""Poolings, fully connected layers and necks against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from passerby.models.backbones.inception import own_name
from passerby.models.heads import POOLINGS, Embedding, GeM


def maps() -> torch.Tensor:
    return torch.rand(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings_against_loops(name: str) -> None:
    x = maps().double().numpy()
    expected = np.zeros((3, 5))
    for i in range(3):
        for c in range(5):
            values = [float(v) for v in x[i, c].ravel()]
            expected[i, c] = {
                "average": sum(values) / len(values),
                "max": max(values),
                "gem": (sum(v**3 for v in values) / len(values)) ** (1 / 3),
            }[name]
    np.testing.assert_allclose(POOLINGS[name]()(maps()).detach().numpy(), expected, rtol=1e-5)


def test_gem_lies_between_mean_and_maximum_and_learns() -> None:
    pool = GeM()
    pooled = pool(maps())
    assert (pooled >= maps().mean((2, 3))).all()
    assert (pooled <= maps().amax((2, 3))).all()
    pooled.sum().backward()
    assert pool.p.grad is not None
    assert float(pool.p.grad) > 0  # a larger p moves towards the maximum


def test_the_neck_is_batch_norm_with_a_bias_that_stays() -> None:
    head = Embedding(5)
    x = torch.randn(8, 5)
    output = head.train()(x)
    assert torch.equal(output.feature, x)
    expected = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(output.embedding, expected, rtol=1e-4, atol=1e-5)
    (output.embedding * torch.randn(8, 5)).sum().backward()
    gradients = {name: p.grad is not None for name, p in head.named_parameters()}
    assert gradients == {"neck.weight": True, "neck.bias": False}


def test_no_neck_gives_the_feature_twice() -> None:
    output = Embedding(5, neck="none")(torch.randn(4, 5))
    assert torch.equal(output.feature, output.embedding)


def test_fully_connected_layers_have_norm_and_relu_between_and_none_after() -> None:
    head = Embedding(5, fc_dims=(8, 4), neck="none")
    assert [type(layer).__name__ for layer in head.fc] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert head.dim == 4
    assert head(torch.randn(6, 5)).feature.shape == (6, 4)
    assert head(torch.randn(6, 5)).feature.min() < 0


def test_dropout_acts_in_training_alone() -> None:
    head = Embedding(100, dropout=0.5, neck="none")
    x = torch.ones(2, 100)
    assert torch.equal(head.eval()(x).feature, x)
    assert 20 < int((head.train()(x).feature[0] == 0).sum()) < 80


@pytest.mark.parametrize(
    ("public", "ours"),
    [
        ("conv1_7x7_s2.weight", "conv1.conv.weight"),
        ("conv2_3x3_reduce_bn.running_var", "conv2_reduce.bn.running_var"),
        ("inception_3a_1x1.bias", "blocks.3a.units.1x1.conv.bias"),
        ("inception_4e_double_3x3_reduce_bn.weight", "blocks.4e.units.double_3x3_reduce.bn.weight"),
        ("inception_5b_pool_proj.weight", "blocks.5b.units.pool_proj.conv.weight"),
        ("conv1.weight", "conv1.weight"),
        ("last_linear.weight", "last_linear.weight"),
    ],
)
def test_public_names_of_inception_v2(public: str, ours: str) -> None:
    assert own_name(public) == ours


def test_the_head_of_sphere_reid() -> None:
    """Batch norm, dropout (none in evaluation), one fully connected layer, batch norm, in this order."""
    head: Any = Embedding(5, fc_dims=(4,), dropout=0.5, pooled_norm=True).eval()
    with torch.no_grad():
        for norm in (head.norm, head.neck):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
    x = torch.randn(3, 5)

    def normed(x: torch.Tensor, norm: Any) -> Any:
        return (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias

    (layer,) = head.fc
    feature = normed(x, head.norm) @ layer.weight.T + layer.bias
    output = head(x)
    torch.testing.assert_close(output.feature, feature)
    torch.testing.assert_close(output.embedding, normed(feature, head.neck))
    assert not [name for name in Embedding(5).state_dict() if name.startswith("norm")]

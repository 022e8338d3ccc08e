"""A collapsed network is announced; a working one is not."""

import logging
import math

import pytest
import torch

from passerby.training.collapse import COLLAPSED, spread, warn_of_collapse


def test_spread_is_the_mean_distance_from_the_centre() -> None:
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = x.tolist()
    centre = [sum(row[j] for row in rows) / 7 for j in range(5)]
    expected = sum(math.dist(row, centre) for row in rows) / 7
    assert float(spread(x)) == pytest.approx(expected, rel=1e-6)


def test_spread_ignores_where_the_vectors_lie_and_scales_with_them() -> None:
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    assert float(spread(x + 5)) == pytest.approx(float(spread(x)), rel=1e-5)
    assert float(spread(3 * x)) == pytest.approx(3 * float(spread(x)), rel=1e-5)
    assert float(spread(torch.ones(16, 8))) == 0.0


def test_spread_has_no_gradient() -> None:
    assert not spread(torch.randn(4, 3, requires_grad=True)).requires_grad


def test_says_so_below_the_limit_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "passerby"):
        assert not warn_of_collapse(COLLAPSED, epoch=0)
        assert not caplog.records
        assert warn_of_collapse(COLLAPSED / 2, epoch=3)
    assert "epoch 4" in caplog.text
    assert "nearly the same point" in caplog.text
    assert "optimizer.lr" in caplog.text

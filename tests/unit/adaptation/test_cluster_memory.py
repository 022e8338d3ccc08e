"""The memory of clusters: its value by the formula, how it moves, and what it starts from."""

import pytest
import torch
from torch.nn import functional

from passerby.adaptation.cluster_memory import ClusterMemoryLoss
from passerby.errors import ConfigError, EmbeddingError


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, torch.tensor([0, 0, 2, 2, 3, 3])


def test_value_and_memory_against_plain_loops() -> None:
    loss = ClusterMemoryLoss(5, 4, temperature=0.1, momentum=0.2).double()
    for seed in range(3):
        x, labels = batch(seed)
        unit = functional.normalize(x)
        memory = loss.memory.clone()
        for label in {0, 2, 3}:
            if not loss.seen[label]:
                memory[label] = functional.normalize(unit[labels == label].sum(0), dim=0)
        seen = [0, 2, 3]
        expected = torch.zeros((), dtype=torch.float64)
        for row, label in zip(unit, labels.tolist(), strict=True):
            logits = torch.stack([row @ memory[c] / 0.1 for c in seen])
            expected = expected - torch.log_softmax(logits, 0)[seen.index(label)] / 6
        assert float(loss(x, labels)) == pytest.approx(float(expected))
        for label in seen:
            own = unit[labels == label]
            hardest = own[(own @ memory[label]).argmin()]
            memory[label] = functional.normalize(0.2 * memory[label] + 0.8 * hardest, dim=0)
        torch.testing.assert_close(loss.memory, memory)
        assert loss.seen.tolist() == [True, False, True, True, False]


def test_nothing_moves_in_evaluation_mode() -> None:
    loss = ClusterMemoryLoss(5, 4).eval()
    loss(*batch())
    assert not loss.seen.any()
    assert not loss.memory.any()


def test_gradient_and_state() -> None:
    x, labels = batch()
    loss = ClusterMemoryLoss(5, 4).double()
    x.requires_grad_()
    loss(x, labels).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0
    copy = ClusterMemoryLoss(5, 4).double()
    copy.load_state_dict(loss.state_dict())
    torch.testing.assert_close(copy(x, labels), loss(x, labels))


def test_refusals() -> None:
    for arguments in ({"temperature": 0}, {"momentum": 1.0}, {"momentum": -0.1}):
        with pytest.raises(ConfigError):
            ClusterMemoryLoss(5, 4, **arguments)
    with pytest.raises(EmbeddingError, match=r"0\.\.4"):
        ClusterMemoryLoss(5, 4)(torch.randn(1, 4), torch.tensor([5]))


def test_known_means_are_seen_from_the_start() -> None:
    loss = ClusterMemoryLoss(5, 4, temperature=1.0).double()
    means = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss.start(means)
    x, labels = batch()
    logits = functional.normalize(x) @ functional.normalize(means).T
    assert float(loss(x, labels)) == pytest.approx(float(functional.cross_entropy(logits, labels)))
    with pytest.raises(EmbeddingError, match=r"expected means \[5, 4\], found \[4, 4\]"):
        loss.start(means[:4])

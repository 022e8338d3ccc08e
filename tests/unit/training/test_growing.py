"""Small images first: how the rate and batch norm go on at the full size."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from passerby.config import Config, ScheduleConfig, parse_config
from passerby.models.model import ReIDModel
from passerby.training.growing import estimate_statistics, image_size, is_switch
from passerby.training.optim import AveragedWeights, learning_rate_factor


def schedule(**changes: object) -> ScheduleConfig:
    content = {"epochs": 12, "warmup_epochs": 1, "decay": "cosine", "per": "step", "small_until": 0.67, **changes}
    return parse_config({"schedule": content}, where="test").schedule


def test_the_rate_begins_anew_at_full_size_and_falls_to_the_end() -> None:
    mended = schedule()
    assert mended.small_epochs == 8
    before, after = (learning_rate_factor(mended, t) for t in (7.999, 8.0))
    assert before < 0.3
    assert after == 1.0
    rates = [learning_rate_factor(mended, 8 + t / 10) for t in range(41)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.01)
    lower = schedule(full_size_rate=0.5)
    assert learning_rate_factor(lower, 8) == pytest.approx(0.5)
    assert learning_rate_factor(lower, 12) == pytest.approx(0.005)


def test_steps_before_the_switch_do_not_lower_the_full_size_rate() -> None:
    steps = schedule(decay="step", milestones=(4, 10))
    assert [learning_rate_factor(steps, t) for t in (5, 8, 10)] == pytest.approx([0.1, 1.0, 0.1])


def test_a_rate_that_is_still_high_goes_on_and_so_does_that_of_0_1() -> None:
    old = schedule(full_size_rate=0.0)
    plain = schedule(small_until=0.0)
    for t in (0.5, 3, 8, 10, 11.9):
        assert learning_rate_factor(old, t) == learning_rate_factor(plain, t)
    high = schedule(small_until=0.25, full_size_rate=0.9)
    assert learning_rate_factor(high, 6) == learning_rate_factor(plain, 6)


@pytest.mark.parametrize(("share", "epochs", "small"), [(0.67, 3, 2), (0.3, 30, 9), (0.4, 3, 1), (0.0, 5, 0)])
def test_the_share_is_rounded_to_epochs(share: float, epochs: int, small: int) -> None:
    config = Config(schedule=schedule(small_until=share, epochs=epochs))
    sizes = [image_size(config, epoch) for epoch in range(epochs)]
    assert sizes == [(128, 64)] * small + [(256, 128)] * (epochs - small)
    assert [is_switch(config, epoch) for epoch in range(epochs)].count(True) == (small > 0)


def test_0_1_rounded_up() -> None:
    assert schedule(small_until=0.4, epochs=3, full_size_rate=0.0).small_epochs == 2


class Network(nn.Module):
    """The two parts of a `ReIDModel`: what images pass in groups, and what their vectors pass together."""

    def __init__(self) -> None:
        super().__init__()
        self.norm: Any = nn.BatchNorm2d(4)
        self.neck: Any = nn.BatchNorm1d(2)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), self.norm, nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2).eval())

    def pooled(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images)).mean((2, 3))

    def vectors(self, pooled: Tensor) -> Tensor:
        return cast(Tensor, self.neck(pooled))


@pytest.mark.parametrize(("images", "micro_batch"), [(6, 3), (6, 0), (3, 1), (4, 3)])
def test_statistics_are_those_of_the_new_images_and_nothing_else_changes(images: int, micro_batch: int) -> None:
    torch.manual_seed(0)
    network = Network()
    model, norm = cast(ReIDModel, network), network.norm
    norm.running_mean.fill_(50.0)
    norm.num_batches_tracked.fill_(7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = [torch.randn(images, 3, 8, 8) for _ in range(3)]
    estimate_statistics(model, iter(batches), torch.float32, micro_batch=micro_batch)
    mean = torch.stack([network.layers[0](batch).mean((0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(norm.running_mean, mean, atol=1e-5)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    statistics = {f"{name}.running_{kind}" for name in ("norm", "layers.1", "neck") for kind in ("mean", "var")}
    assert changed == statistics, "one in evaluation mode is frozen, and stays"
    assert (norm.momentum, int(norm.num_batches_tracked)) == (0.1, 7)


def test_averaged_weights_take_the_new_statistics() -> None:
    linear: Any = nn.Linear(3, 2)
    norm: Any = nn.BatchNorm1d(2)
    model = nn.Sequential(linear, norm)
    average = AveragedWeights(model, 0.9)
    norm.running_mean.fill_(3.0)
    linear.weight.data.zero_()
    average.take_statistics(model)
    assert torch.equal(average.tensors["1.running_mean"], norm.running_mean)
    assert not torch.equal(average.tensors["0.weight"], linear.weight)

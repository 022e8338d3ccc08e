"""Settings that are read only beside certain others: the table says what the code does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from passerby.config import AugmentConfig, Config, InputConfig, OptimizerConfig, SamplerConfig, ScheduleConfig
from passerby.config.unread_settings import READ_WITH, refuse_unread
from passerby.data.augment import Augmenter
from passerby.data.sampling.hard_identity import HardIdentitySampler
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ConfigError
from passerby.training.optim import build_optimizer, learning_rate_factor, parameter_groups

LABELS = np.concatenate([np.repeat(np.arange(12), 3), np.zeros(6, int)])
SAMPLER = {"identities": 3, "images": 2}


def batches(config: SamplerConfig) -> Any:
    """Four epochs, searches included."""
    sampler = make_sampler(config, LABELS, (LABELS % 2).tolist(), seed=0)
    seen = []
    for epoch in range(4):
        if isinstance(sampler, HardIdentitySampler) and sampler.needs_search(epoch):
            features = np.random.default_rng(epoch).normal(size=(len(LABELS), 3)).astype(np.float32)
            sampler.update(features, LABELS)
        seen.append(sampler.epoch_batches(epoch).tolist())
    return seen


def rates(config: ScheduleConfig) -> Any:
    return [learning_rate_factor(config, epoch / 2) for epoch in range(2 * config.epochs)]


def steps(config: OptimizerConfig) -> Any:
    """Weights after some steps."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"backbone": nn.Linear(3, 3)})
    optimizer = build_optimizer(parameter_groups(model, nn.Identity(), config), config)
    for step in range(1, 4):
        for parameter in model.parameters():
            parameter.grad = parameter.detach() * step - 0.1
        optimizer.step()
    return [parameter.tolist() for parameter in model.parameters()]


def pictures(config: AugmentConfig) -> Any:
    images = torch.arange(4 * 3 * 32 * 16).reshape(4, 3, 32, 16).remainder(251).to(torch.uint8)
    return Augmenter(config, InputConfig(height=32, width=16))(images, generator_seed=(0,)).tolist()


def of(kind: Any, made: Callable[[Any], Any], fixed: dict[str, Any], *values: Any) -> Any:
    """What a training does with each of the values of one setting, others fixed."""
    return lambda name, other: [made(kind(**{**fixed, **other, name: value})) for value in values]


SCHEDULE = {"epochs": 20, "warmup_epochs": 2.0, "milestones": (4, 9)}
WHAT_IT_DOES: dict[str, Any] = {
    "sampler.epoch": of(SamplerConfig, batches, SAMPLER, "chunks", "identities"),
    "sampler.refresh_epochs": of(SamplerConfig, batches, SAMPLER, 1, 2),
    "sampler.linkage": of(SamplerConfig, batches, SAMPLER, "mean", "min"),
    "sampler.candidates": of(SamplerConfig, batches, SAMPLER, 2, 9),
    "schedule.warmup_start": of(ScheduleConfig, rates, SCHEDULE, 0.01, 0.5),
    "schedule.milestones": of(ScheduleConfig, rates, SCHEDULE, (4,), (7,)),
    "schedule.gamma": of(ScheduleConfig, rates, SCHEDULE, 0.1, 0.5),
    "schedule.final": of(ScheduleConfig, rates, SCHEDULE, 0.1, 0.5),
    "schedule.full_size_rate": of(ScheduleConfig, rates, {**SCHEDULE, "decay": "cosine"}, 0.8, 1.0),
    "optimizer.beta2": of(OptimizerConfig, steps, {"lr": 0.1}, 0.9, 0.999),
    "optimizer.decay_norm_and_bias": of(OptimizerConfig, steps, {"lr": 0.1, "name": "sgd"}, False, True),
    "augment.erasing_area": of(AugmentConfig, pictures, {}, (0.02, 0.1), (0.3, 0.4)),
    "augment.erasing_aspect": of(AugmentConfig, pictures, {}, 0.1, 1.0),
}
NOT_TRIED = {"input.cache_dir", "distillation.weight"}
"""They need files; `ImageStore` and `Objective` are given them and have tests of their own."""
VALUES: dict[str, tuple[Any, ...]] = {
    "sampler.kind": ("pk", "camera", "balanced", "hard_identity", "shuffled"),
    "schedule.decay": ("step", "cosine", "constant"),
    "optimizer.name": ("adam", "adamw", "sgd"),
    "schedule.warmup_epochs": (0.0, 4.0),
    "schedule.small_until": (0.0, 0.5),
    "optimizer.weight_decay": (0.0, 0.1),
    "augment.erasing": (0.0, 1.0),
}


def setting(name: str) -> Any:
    group, _, field = name.partition(".")
    return cast(Any, Config.model_fields[group].annotation).model_fields[field]


@pytest.mark.parametrize("name", READ_WITH)
def test_the_names_are_settings(name: str) -> None:
    assert setting(name)
    assert setting(READ_WITH[name].setting)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, reader in READ_WITH.items() if name not in NOT_TRIED for value in VALUES[reader.setting]],
)
def test_a_setting_changes_something_where_the_table_says_so_and_nothing_elsewhere(name: str, value: Any) -> None:
    other = READ_WITH[name].setting.partition(".")[2]
    first, second = WHAT_IT_DOES[name](name.partition(".")[2], {other: value})
    assert (first != second) == READ_WITH[name].reads(value)


def test_momentum_is_read_by_every_optimizer() -> None:
    for name in VALUES["optimizer.name"]:
        first, second = of(OptimizerConfig, steps, {"lr": 0.1, "name": name}, 0.3, 0.9)("momentum", {})
        assert first != second


def test_what_is_refused_names_both_settings() -> None:
    config = Config(sampler=SamplerConfig(kind="hard_identity"))
    refuse_unread(config, ["sampler.linkage", "run.seed", "objective.lin.weight", "name"], where="mine.toml")
    with pytest.raises(ConfigError) as found:
        refuse_unread(Config(), ["run.seed", "sampler.linkage"], where="mine.toml")
    assert str(found.value) == (
        "mine.toml: sampler.linkage would do nothing: sampler.kind is 'pk', and sampler.linkage is read where that is "
        "'hard_identity'; leave it out, or change sampler.kind"
    )

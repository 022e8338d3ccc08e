"""Settings that a training reads only where another one says so: given beside the wrong one they would do nothing.

A recipe may hold them all the same, and so may the settings of an earlier run: only what somebody asks for on a command
line is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from passerby.config.recipe import Config
from passerby.errors import ConfigError


class _Reader(NamedTuple):
    """Another setting, and the values of it with which the one in question is read."""

    setting: str
    reads: Callable[[Any], bool]
    words: str


def _any_of(setting: str, *values: str) -> _Reader:
    return _Reader(setting, lambda value: value in values, " or ".join(map(repr, values)))


def _above_0(setting: str) -> _Reader:
    return _Reader(setting, lambda value: value > 0, "above 0")


READ_WITH: dict[str, _Reader] = {
    "sampler.epoch": _any_of("sampler.kind", "pk", "camera", "hard_identity"),
    "sampler.refresh_epochs": _any_of("sampler.kind", "hard_identity"),
    "sampler.linkage": _any_of("sampler.kind", "hard_identity"),
    "sampler.candidates": _any_of("sampler.kind", "hard_identity"),
    "schedule.warmup_start": _above_0("schedule.warmup_epochs"),
    "schedule.milestones": _any_of("schedule.decay", "step"),
    "schedule.gamma": _any_of("schedule.decay", "step"),
    "schedule.final": _any_of("schedule.decay", "cosine"),
    "schedule.full_size_rate": _above_0("schedule.small_until"),
    "optimizer.beta2": _any_of("optimizer.name", "adam", "adamw"),
    "optimizer.decay_norm_and_bias": _above_0("optimizer.weight_decay"),
    "augment.erasing_area": _above_0("augment.erasing"),
    "augment.erasing_aspect": _above_0("augment.erasing"),
    "input.cache_dir": _any_of("input.cache", "disk"),
    "distillation.weight": _Reader("distillation.vectors", lambda value: value is not None, "given"),
}
"""By dotted name. (`optimizer.momentum` is read by all: it is Adam's first beta.)"""


def refuse_unread(config: Config, names: Iterable[str], *, where: str) -> None:
    """Refuse settings that a training would not read.

    Args:
        config: the recipe, with them.
        names: dotted names of the settings that somebody asked for.
        where: what error messages call the recipe.

    Raises:
        ConfigError: one of them would do nothing.
    """
    for name in names:
        reader = READ_WITH.get(name)
        if reader is None:
            continue
        group, _, setting = reader.setting.partition(".")
        value = getattr(getattr(config, group), setting)
        if not reader.reads(value):
            found = "none" if value is None else repr(value)
            raise ConfigError(
                f"{where}: {name} would do nothing: {reader.setting} is {found}, and {name} is read where that is "
                f"{reader.words}; leave it out, or change {reader.setting}"
            )

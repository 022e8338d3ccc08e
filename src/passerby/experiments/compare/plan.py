"""Which trainings a comparison makes: recipes under shared settings, their variants, and a budget of images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.config import Config, load_recipe, with_overrides
from passerby.data.dataset_of_config import load_configured, split_held_out
from passerby.data.records import labels_of
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ConfigError
from passerby.training.fitting import fit_to_data


def plan_trainings(
    recipes: Sequence[str | Path],
    *,
    common: Mapping[str, Any],
    vary: Mapping[str, Sequence[Any]],
    images: int | None,
) -> list[Config]:
    """One recipe a row of the table; see `compare` for the arguments.

    Raises:
        ConfigError: unknown recipes or settings, settings that `seeds` or `images` choose, or two recipes of one name.
        DataError: the budget is given and the dataset cannot be read.
    """
    _refuse_chosen(vary, images)
    configs = [
        with_overrides(load_recipe(recipe), common, where=f"recipe {recipe} with the common settings")
        for recipe in recipes
    ]
    configs = [variant for config in configs for variant in variants(config, vary)]
    if images is not None:
        configs = [with_budget(config, images) for config in configs]
    names = [config.name for config in configs]
    if len(set(map(folder_name, names))) < len(names):
        raise ConfigError(f"two of the recipes have the same name, or one that is the same folder: {', '.join(names)}")
    return configs


def folder_name(name: str) -> str:
    """A recipe's or variant's name as a folder's."""
    plain = re.sub(r"[^\w.=-]+", "_", name)
    return plain if plain.strip(".") else plain.replace(".", "_") or "_"


def _refuse_chosen(vary: Iterable[str], images: int | None) -> None:
    chosen = {"run.seed": "seeds", **({} if images is None else {"schedule.epochs": "images"})}
    for key in vary:
        if key in chosen:
            raise ConfigError(f"vary: {key} would do nothing: {chosen[key]} chooses it; vary another setting")


def variants(config: Config, vary: Mapping[str, Sequence[Any]]) -> list[Config]:
    """The recipe itself and one copy for each value of each setting, named after it; equal to the recipe: left out.

    Raises:
        ConfigError: an unknown setting, or a value that does not fit.
    """
    found = [config]
    endings = Counter(key.rpartition(".")[2] for key in vary)
    for key, values in vary.items():
        ending = key.rpartition(".")[2]
        called = ending if endings[ending] == 1 else key
        for value in values:
            variant = with_overrides(config, {key: value}, where=f"recipe {config.name} with {key} = {value!r}")
            if variant != config:
                label = f"{config.name} {called}={value}"
                found.append(variant.model_copy(update={"name": label}))
    return found


def with_budget(config: Config, images: int) -> Config:
    """The recipe with its schedule scaled so that the training sees about `images` images (whole epochs, at least one).

    Raises:
        DataError: the dataset cannot be read.
    """
    data = load_configured(config.data)
    config = fit_to_data(config, data)
    training, _ = split_held_out(config.data, data)
    labels, _ = labels_of(training.train)
    sampler = make_sampler(config.sampler, labels, [s.camid for s in training.train], seed=config.run.seed)
    schedule = config.schedule
    epochs = max(1, round(images / (sampler.steps(0) * config.sampler.batch_size)))
    scale = epochs / schedule.epochs
    changes = {
        "epochs": epochs,
        "warmup_epochs": schedule.warmup_epochs * scale,
        "milestones": tuple(max(1, round(m * scale)) for m in schedule.milestones),
        "freeze_backbone_epochs": round(schedule.freeze_backbone_epochs * scale),
    }
    return config.model_copy(update={"schedule": schedule.model_copy(update=changes)})

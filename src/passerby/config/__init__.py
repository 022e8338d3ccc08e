"""Every setting, once: the type check, the TOML key, the command-line flag and its help.

Recipes are complete TOML files under `passerby/recipes`; `load_recipe` reads one, `Config.to_toml` writes one.
Nothing here imports torch, and a command that reads one group of settings imports no other.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.config.augment import AugmentConfig
    from passerby.config.data import DataConfig
    from passerby.config.evaluation import EvaluationSettings, RerankSettings
    from passerby.config.input import InputConfig
    from passerby.config.model import ModelConfig
    from passerby.config.objective import DistillationConfig, TermConfig
    from passerby.config.optimizer import OptimizerConfig
    from passerby.config.overrides import with_overrides
    from passerby.config.recipe import Config
    from passerby.config.recipe_files import load_recipe, recipe_names
    from passerby.config.recipe_validation import parse_config
    from passerby.config.run import RunConfig
    from passerby.config.sampler import SamplerConfig
    from passerby.config.schedule import ScheduleConfig
    from passerby.config.settings_group import NonNegative, Positive, Settings, Share


__all__ = [
    "AugmentConfig",
    "Config",
    "DataConfig",
    "DistillationConfig",
    "EvaluationSettings",
    "InputConfig",
    "ModelConfig",
    "NonNegative",
    "OptimizerConfig",
    "Positive",
    "RerankSettings",
    "RunConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "Settings",
    "Share",
    "TermConfig",
    "load_recipe",
    "parse_config",
    "recipe_names",
    "with_overrides",
]


_load = lazy_names(
    __name__,
    {
        "AugmentConfig": "passerby.config.augment",
        "DataConfig": "passerby.config.data",
        "EvaluationSettings": "passerby.config.evaluation",
        "RerankSettings": "passerby.config.evaluation",
        "InputConfig": "passerby.config.input",
        "ModelConfig": "passerby.config.model",
        "DistillationConfig": "passerby.config.objective",
        "TermConfig": "passerby.config.objective",
        "OptimizerConfig": "passerby.config.optimizer",
        "with_overrides": "passerby.config.overrides",
        "Config": "passerby.config.recipe",
        "load_recipe": "passerby.config.recipe_files",
        "recipe_names": "passerby.config.recipe_files",
        "parse_config": "passerby.config.recipe_validation",
        "RunConfig": "passerby.config.run",
        "SamplerConfig": "passerby.config.sampler",
        "ScheduleConfig": "passerby.config.schedule",
        "NonNegative": "passerby.config.settings_group",
        "Positive": "passerby.config.settings_group",
        "Settings": "passerby.config.settings_group",
        "Share": "passerby.config.settings_group",
    },
)


def __getattr__(name: str) -> Any:
    if name != "EvaluationConfig":
        return _load(name)
    warnings.warn(
        "EvaluationConfig is called EvaluationSettings; the old name goes with version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    return _load("EvaluationSettings")

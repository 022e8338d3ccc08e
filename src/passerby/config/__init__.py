"""Every setting, once: the type check, the TOML key, the command-line flag and its help.

Recipes are complete TOML files under `passerby/recipes`; `load_recipe` reads one, `Config.to_toml` writes one.
Nothing here imports torch.
"""

from __future__ import annotations

import warnings
from typing import Any

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


def __getattr__(name: str) -> Any:
    if name != "EvaluationConfig":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "EvaluationConfig is called EvaluationSettings; the old name goes with version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    return EvaluationSettings

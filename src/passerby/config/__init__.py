"""Every setting, once: the type check, the TOML key, the command-line flag and its help.

Recipes are complete TOML files under `passerby/recipes`; `load_recipe` reads one, `Config.to_toml` writes one.
Nothing here imports torch.
"""

from __future__ import annotations

from passerby.config.augment import AugmentConfig
from passerby.config.checking import parse_config
from passerby.config.data import DataConfig
from passerby.config.evaluation import EvaluationConfig
from passerby.config.input import InputConfig
from passerby.config.model import ModelConfig
from passerby.config.objective import DistillationConfig, TermConfig
from passerby.config.optimizer import OptimizerConfig
from passerby.config.overrides import with_overrides
from passerby.config.recipe import Config
from passerby.config.recipe_files import load_recipe, recipe_names
from passerby.config.run import RunConfig
from passerby.config.sampler import SamplerConfig
from passerby.config.schedule import ScheduleConfig
from passerby.config.settings import NonNegative, Positive, Settings, Share

__all__ = [
    "AugmentConfig",
    "Config",
    "DataConfig",
    "DistillationConfig",
    "EvaluationConfig",
    "InputConfig",
    "ModelConfig",
    "NonNegative",
    "OptimizerConfig",
    "Positive",
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

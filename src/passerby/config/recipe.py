"""A complete recipe: every group of settings."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from passerby.config.augment import AugmentConfig
from passerby.config.data import DataConfig
from passerby.config.evaluation import EvaluationSettings
from passerby.config.input import InputConfig
from passerby.config.model import ModelConfig
from passerby.config.objective import DistillationConfig, TermConfig
from passerby.config.optimizer import OptimizerConfig
from passerby.config.run import RunConfig
from passerby.config.sampler import SamplerConfig
from passerby.config.schedule import ScheduleConfig
from passerby.config.settings_group import Settings
from passerby.config.toml import to_toml


class Config(Settings):
    """A complete recipe: one file says everything about a training run."""

    name: str = "custom"
    """Recipe name."""
    description: str = ""
    """One sentence, with the paper."""
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    augment: AugmentConfig = AugmentConfig()
    sampler: SamplerConfig = SamplerConfig()
    model: ModelConfig = ModelConfig()
    objective: dict[str, TermConfig] = Field(
        default_factory=lambda: {"softmax": TermConfig(arguments={"label_smoothing": 0.1})}
    )
    distillation: DistillationConfig = DistillationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    run: RunConfig = RunConfig()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _has_a_term(self) -> Config:
        if not any(term.weight != 0 for term in self.objective.values()):
            raise ValueError("objective needs at least one term with a weight other than 0")
        for taken in ("total", "distillation"):
            if taken in self.objective:
                raise ValueError(f"objective: a term cannot be called {taken!r}, which names another part of the sum")
        return self

    def to_toml(self) -> str:
        """The complete configuration as TOML that `load_recipe` reads back; no name of data where none was given."""
        return to_toml(self.plain())

    def plain(self) -> dict[str, Any]:
        """The complete configuration as plain values; likewise."""
        content = self.model_dump(mode="json", exclude_none=True)
        if not self.data.named:
            del content["data"]["name"]
        return content

    def __str__(self) -> str:
        return self.to_toml()

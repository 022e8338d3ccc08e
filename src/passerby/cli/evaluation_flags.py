"""How rankings are scored: the one place where the flags of evaluation are defined, from `EvaluationSettings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from passerby.cli.setting_flags import flags_of
from passerby.config.evaluation import EvaluationSettings

EvaluationFlags: Any = flags_of(EvaluationSettings)
ScoreFlags: Any = flags_of(EvaluationSettings, leave_out=("flip", "batch_size"))
"""... of vectors that are there already."""

ReportFlags: Any = flags_of(EvaluationSettings, leave_out=("seed",))
"""... of a report, whose seed is its own."""

_Flat = Parameter(name="*", accepts_keys=True, show_default=False)
Evaluation: TypeAlias = Annotated[EvaluationFlags, _Flat]
Score: TypeAlias = Annotated[ScoreFlags, _Flat]
Reporting: TypeAlias = Annotated[ReportFlags, _Flat]


def evaluation_of(run: Path) -> EvaluationSettings | None:
    """How the recipe of a run evaluates; None for an encoder without a run."""
    from passerby.config.recipe_files import load_recipe

    recipe = run / "config.toml"
    return load_recipe(recipe).evaluation if recipe.exists() else None

"""How rankings are scored: the one place where the flags of evaluation are defined, from `EvaluationSettings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from passerby.cli.setting_flags import flags_of, given
from passerby.config.evaluation import EvaluationSettings
from passerby.errors import UsageError

EvaluationFlags: Any = flags_of(EvaluationSettings)
ScoreFlags: Any = flags_of(EvaluationSettings, leave_out=("flip", "batch_size", "engine", "threads", "precision"))
"""... of vectors that are there already."""

ReportFlags: Any = flags_of(EvaluationSettings, leave_out=("seed",))
"""... of a report, whose seed is its own."""

_Flat = Parameter(name="*", accepts_keys=True, show_default=False)
Evaluation: TypeAlias = Annotated[EvaluationFlags, _Flat]
Score: TypeAlias = Annotated[ScoreFlags, _Flat]
Reporting: TypeAlias = Annotated[ReportFlags, _Flat]

_READERS = {
    "pooling": ("video", "multi_query"),
    "repeats": ("cuhk03", "single_shot"),
    "seed": ("cuhk03", "single_shot"),
}
"""Settings that only some protocols read."""


def given_for(flags: object, protocol: str) -> dict[str, Any]:
    """The settings that were given on the command line.

    Args:
        flags: the parsed flags.
        protocol: the one that counts where the flags name none.

    Raises:
        UsageError: a flag would change nothing under this protocol.
    """
    settings = given(flags)
    named = settings.get("protocol") or protocol
    for name, protocols in _READERS.items():
        if name in settings and named not in protocols:
            raise UsageError(f"--{name} changes nothing under the protocol {named!r}; {' and '.join(protocols)} use it")
    return settings


def evaluation_of(run: Path) -> EvaluationSettings | None:
    """How the recipe of a run evaluates; None for an encoder without a run."""
    from passerby.config.recipe_files import load_recipe

    recipe = run / "config.toml"
    return load_recipe(recipe).evaluation if recipe.exists() else None

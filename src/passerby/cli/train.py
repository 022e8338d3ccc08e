"""`passerby train`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from passerby.cli.dataset_flags import ReaderArguments, reader_arguments
from passerby.cli.output import show
from passerby.cli.setting_flags import flag_names, flags_of, given, read_terms
from passerby.cli.shared_parameters import Json
from passerby.config import Config, load_recipe, with_overrides
from passerby.config.import_paths import refuse_import_paths
from passerby.config.overrides import dotted_names
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.training.run import Run

SettingFlags: Any = flags_of(Config)
_OWN_FLAGS = ["--out", "--json", "--no-import-paths", "--data.arguments"]


def train(
    recipe: str,
    /,
    *terms: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    out: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    data_arguments: Annotated[ReaderArguments, Parameter(name="--data.arguments")] = (),
    settings: Annotated[SettingFlags, Parameter(name="*", accepts_keys=True, show_default=False)] = SettingFlags(),  # noqa: B008
    no_import_paths: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> None:
    """Train a recipe, or resume a training that was interrupted.

    It needs data (--data.name) and, where it is to end well on few images, pretrained weights:
    `passerby train finetune --data.name FOLDER --model.weights FILE`, with one folder of images a person.

    Every setting of the recipe can be replaced by its dotted name; `passerby recipes RECIPE` shows its values. Terms of
    the objective: --objective.TERM.weight X and --objective.TERM.arguments.KEY VALUE change a term or add one,
    --objective.TERM none removes it.

    Args:
        recipe: A name of `passerby recipes`, or a .toml file.
        terms: Settings of the objective.
        out: Folder of the run (default: runs/RECIPE-DATA); the same command resumes it.
        data_arguments: see `ReaderArguments`.
        settings: All other settings.
        no_import_paths: Refuse a recipe that names code to run (module:Class): for recipes of people you do not know.
        json: see `Json`.
    """
    known = [*flag_names(SettingFlags()), *_OWN_FLAGS]
    changes = given(settings) | read_terms(terms, known)
    if data_arguments:
        changes["data.arguments"] = reader_arguments(data_arguments)
    plain = load_recipe(recipe)
    config = with_overrides(plain, changes, where=f"recipe {recipe}") if changes else plain
    if no_import_paths:
        refuse_import_paths(config)
    from passerby.data.dataset_of_config import HOW_TO_NAME, check_place

    if not config.data.named:
        raise UsageError(
            f"train on what? The recipe {recipe} names no data: {HOW_TO_NAME} (`passerby demo` draws its own)"
        )
    folder = out or default_folder(config)
    if not (folder / "config.toml").exists():  # an interrupted run has its weights, and knows where its data are
        from passerby.config.unread_settings import refuse_unread
        from passerby.training.fitting import check_files

        refuse_unread(config, dotted_names(changes), where=f"recipe {recipe}")
        check_files(config, resumes=False)
        check_place(config.data)
    from passerby.training.trainer import train as run_train

    run = run_train(config, out=folder)
    show(
        {"run": str(run.path), "metrics": run.metrics},
        as_json=json,
        text=f"trained: {run.path}\nnext: {_next(run)}",
    )


def default_folder(config: Config) -> Path:
    """Folder of a run that is given none: runs/RECIPE-DATA; runs/RECIPE where version 0.1 left a run on these data."""
    from passerby.data.dataset_of_config import with_absolute_paths

    place = re.sub(r"[^A-Za-z0-9._+-]+", "-", Path(config.data.name).stem).strip("-")
    folder, old = Path("runs") / f"{config.name}-{place}", Path("runs") / config.name
    if not folder.exists() and (old / "config.toml").exists():
        before = load_recipe(old / "config.toml").data
        if with_absolute_paths(before, run=old).name == with_absolute_paths(config.data).name:
            return old
    return folder


def _next(run: Run) -> str:
    """The command that a run is followed by: its test, or calibration where nobody is in a test."""
    settings = run.config.data
    if settings.arguments.get("test_share") != 0.0:
        return f"passerby evaluate {run.path}"
    if settings.held_out_identities:
        return f"passerby calibrate {run.path} (on the {settings.held_out_identities} people held out)"
    return f"passerby calibrate {run.path} --people FOLDER"

"""`passerby compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.output import show
from passerby.cli.shared_parameters import Json
from passerby.config.engine import EngineName
from passerby.errors import UsageError


def compare(
    recipes: Annotated[tuple[str, ...], Parameter(name="RECIPE")],
    /,
    *,
    common: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    out: Annotated[Path, Parameter(metavar="FOLDER")] = Path("runs/compare"),
    seeds: Annotated[int, Parameter(metavar="N")] = 1,
    images: Annotated[int | None, Parameter(metavar="N")] = None,
    vary: Annotated[tuple[str, ...], Parameter(metavar="KEY=[VALUE,...]")] = (),
    engine: EngineName | None = None,
    data: DatasetFlags = DatasetFlags(),
    json: Json = False,
) -> None:
    """Train recipes under equal conditions: a table with spread, significance, time and memory.

    Args:
        recipes: Names of recipes, or .toml files.
        common: TOML file of settings that replace the recipes' own in all of them: data, backbone, epochs, ...
        out: Folder of the runs and the table; the same command resumes it.
        seeds: Trainings of each recipe.
        images: Images that each training sees; schedules are scaled to it. Without it: the epochs of the recipes.
        vary: Settings to vary, one at a time: objective.lin.weight=[0.2,0.6] ... adds a row for each value.
        engine: What runs the trained encoders on the test set (default: as each recipe says, auto).
        data: The dataset, of all recipes.
        json: see `Json`.
    """
    from passerby.config import load_recipe, with_overrides
    from passerby.config.toml import read_toml
    from passerby.config.unread_settings import refuse_unread
    from passerby.data.dataset_of_config import check_place

    settings = {} if common is None else read_toml(common)
    if chosen := data.settings():
        settings["data"] = {**settings.get("data", {}), **chosen}
    varied = _varied(vary)
    for recipe in recipes:
        where = f"recipe {recipe} with the common settings"
        config = with_overrides(load_recipe(recipe), settings, where=where)
        refuse_unread(config, varied, where=where)
        check_place(config.data)
    from passerby.experiments.compare.compare import compare as run_compare

    show(
        run_compare(recipes, out=out, seeds=seeds, common=settings, images=images, vary=varied, engine=engine),
        as_json=json,
    )


def _varied(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """KEY=[VALUE, ...] as a dict; values are read as TOML."""
    from passerby.config.toml import read_value

    found: dict[str, list[Any]] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        values = read_value(text)
        if not isinstance(values, list) or not values:
            raise UsageError(f"--vary: expected KEY=[VALUE,...] such as objective.lin.weight=[0.2,0.6], found {pair!r}")
        found[key] = values
    return found

"""`passerby recipes`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.output import show, table
from passerby.cli.shared_parameters import Json


def recipes(
    recipe: Annotated[str | None, Parameter(help="Show this one: a name, or a .toml file.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the recipes, or show one as TOML with every setting."""
    from passerby.config import load_recipe, recipe_names

    if recipe is not None:
        show(load_recipe(recipe), as_json=json)
        return
    rows = {name: load_recipe(name).description for name in recipe_names()}
    text = table([{"recipe": name, "description": text} for name, text in rows.items()], empty="no recipe")
    show(rows, as_json=json, text=text)

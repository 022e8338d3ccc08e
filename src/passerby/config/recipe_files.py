"""Recipes in TOML files: those that come with passerby, one's own, and files that change another recipe."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from passerby.config.overrides import merged
from passerby.config.recipe import Config
from passerby.config.recipe_validation import parse_config
from passerby.config.toml import read_toml
from passerby.errors import ConfigError, unknown_name

EXTENDS = "extends"
"""Key of a recipe file that names the recipe it changes."""


def recipe_names() -> list[str]:
    """Names of the recipes that come with passerby, sorted."""
    return sorted(p.name[:-5] for p in resources.files("passerby.recipes").iterdir() if p.name.endswith(".toml"))


def load_recipe(name: str | Path) -> Config:
    """Read a recipe by name, or from a TOML file.

    A file may say `extends = "NAME"` (a recipe's name, or a .toml file beside it): it then holds only what differs.
    Its tables are laid over the other recipe's, "none" in the place of a term removes it, and its name, unless it
    gives one, is the file's.

    Args:
        name: a name of `recipe_names()`, or the path of a .toml file.

    Raises:
        ConfigError: no such recipe, not TOML, a circle of recipes that extend each other, or a key or value that does
            not fit (with the nearest known key).
    """
    where = str(name) if _is_file(name) else f"recipe {name}"
    return parse_config(_content(name, ()), where=where)


def _content(name: str | Path, extended_by: tuple[str | Path, ...]) -> dict[str, Any]:
    """A recipe as plain values, laid over those that it extends."""
    if name in extended_by:
        circle = " extends ".join(map(str, [*extended_by[extended_by.index(name) :], name]))
        raise ConfigError(f"{name}: recipes extend each other in a circle: {circle}")
    content = _read(name)
    other = content.pop(EXTENDS, None)
    if other is None:
        return content
    if not isinstance(other, str):
        raise ConfigError(f"{name}: {EXTENDS} = {other!r}: expected the name of a recipe, or the path of a .toml file")
    below = _content(Path(name).parent / other if _is_file(other) else other, (*extended_by, name))
    return merged(below, {"name": Path(name).stem, **content}, where=str(name))


def _read(name: str | Path) -> dict[str, Any]:
    if _is_file(name):
        return read_toml(name)
    if str(name) not in recipe_names():
        raise ConfigError(unknown_name("recipe", str(name), recipe_names()) + ", or the path of a .toml file")
    return tomllib.loads((resources.files("passerby.recipes") / f"{name}.toml").read_text("utf-8"))


def _is_file(name: str | Path) -> bool:
    return str(name).endswith(".toml")

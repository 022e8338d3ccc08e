"""Changes of a recipe: one table of settings laid over another, and settings by their dotted names.

Everything here is a function from plain values to plain values; the recipe that results is checked like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from passerby.config.recipe import Config
from passerby.config.recipe_validation import parse_config
from passerby.config.settings_group import NONE
from passerby.config.toml import read_value
from passerby.errors import ConfigError, unknown_name


def with_overrides(config: Config, changes: Mapping[str, Any], *, where: str) -> Config:
    """The recipe with some of its settings replaced, added or removed.

    Args:
        config: the recipe.
        changes: tables as in TOML, or values by dotted name: {"objective.center.arguments.alpha": 0.3}. Tables are
            laid over the recipe's; "none" removes a term of the objective (or any other table).
        where: what error messages call the result.

    Raises:
        ConfigError: an unknown setting (with the nearest known one), or a value that does not fit.
    """
    return parse_config(merged(config.plain(), nested(changes), where=where), where=where)


def take_flags(arguments: Sequence[str], group: str) -> tuple[dict[str, Any], list[str]]:
    """The flags of one group of settings, and the other arguments.

    Args:
        arguments: of a command line, such as ["--objective.lin.weight", "0.5", "--run.seed=1"].
        group: for example "objective".

    Returns:
        Values by dotted name (hyphens of a flag are underscores in a name), read as TOML or else as text; the rest.

    Raises:
        ConfigError: a flag without a value.
    """
    changes: dict[str, Any] = {}
    others: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith(f"--{group}."):
            others.append(argument)
            continue
        flag, assigned, text = argument.partition("=")
        if not assigned:
            text = next(waiting, "--")
            if text.startswith("--"):
                raise ConfigError(f"{flag}: expected a value behind it, such as `{flag} 0.5`")
        changes[flag.removeprefix("--").replace("-", "_")] = read_value(text)
    return changes, others


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name as tables in tables; a later name wins over an earlier one."""
    tables: dict[str, Any] = {}
    for name, value in changes.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        tables = _laid_over(tables, value)
    return tables


def dotted_names(changes: Mapping[str, Any]) -> list[str]:
    """Names of the settings that changes hold, tables in tables or dotted already."""
    names: list[str] = []
    for name, value in changes.items():
        names += [f"{name}.{inner}" for inner in dotted_names(value)] if isinstance(value, Mapping) else [name]
    return names


def _laid_over(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        inside = isinstance(value, Mapping) and isinstance(before, Mapping)
        result[key] = _laid_over(result[key], value) if inside else value
    return result


def merged(first: Mapping[str, Any], second: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """`second` laid over `first`, table by table; "none" in the place of a table removes it.

    Args:
        first: what is changed.
        second: the changes.
        where: what error messages call the result.

    Raises:
        ConfigError: a term of the objective is removed that is not there.
    """
    return _merged(first, second, (), where)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any], path: tuple[str, ...], where: str) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        if value == NONE and isinstance(before, Mapping):
            del result[key]
        elif value == NONE and path == ("objective",):
            terms = [name for name, term in first.items() if isinstance(term, Mapping)]
            raise ConfigError(f"{where}: nothing to remove: {unknown_name('term of the objective', key, terms)}")
        elif isinstance(value, Mapping) and isinstance(before, Mapping):
            result[key] = _merged(before, value, (*path, key), where)
        else:
            result[key] = value
    return result

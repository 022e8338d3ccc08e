"""Import paths in a recipe: each is code that runs when the recipe is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from passerby.config.recipe import Config
from passerby.errors import ConfigError

_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def refuse_import_paths(config: Config) -> None:
    """Refuse a recipe that names `module:Class` in its objective, for recipes of people one does not know.

    Raises:
        ConfigError: it names some.
    """
    found = sorted(set(_import_paths({name: term.model_dump(mode="json") for name, term in config.objective.items()})))
    if found:
        raise ConfigError(
            f"objective: {', '.join(found)}: an import path, which runs code of that module; leave --no-import-paths "
            "out if you trust the recipe and the module"
        )


def _import_paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _import_paths(inner)
        yield from _import_paths([key for key in value if isinstance(key, str)])
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _import_paths(inner)
    elif isinstance(value, str) and _IMPORT_PATH.fullmatch(value):
        yield value

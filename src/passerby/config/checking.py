"""From a mapping to a `Config`, with an explanation of what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from passerby.config.objective import TermConfig
from passerby.config.recipe import Config
from passerby.errors import ConfigError, unknown_name


def parse_config(content: Mapping[str, Any], *, where: str) -> Config:
    """Check a mapping against the settings; `where` is what error messages call it.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that does not fit.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return unknown_name("setting", location, _setting_names(error["loc"]))
    return f"{location or 'recipe'}: {error['msg']} (found {error['input']!r})" if location else str(error["msg"])


def _setting_names(location: tuple[str | int, ...]) -> list[str]:
    """Dotted names of the settings beside the unknown one."""
    model: Any = Config
    for part in location[:-1]:
        if model is Config and part == "objective":
            model = TermConfig
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
    prefix = "".join(f"{part}." for part in location[:-1])
    return [prefix + name for name in model.model_fields]

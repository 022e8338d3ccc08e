"""From a mapping to one group of settings, with an explanation of what does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from passerby.config.settings_group import Settings
from passerby.errors import ConfigError, unknown_name

Group = TypeVar("Group", bound=Settings)


def parse_settings(group: type[Group], content: Mapping[str, Any], *, where: str) -> Group:
    """Check a mapping against a group of settings.

    Args:
        group: the settings.
        content: values by name.
        where: what error messages call the mapping.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that does not fit.
    """
    try:
        return group.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(group, e) for e in error.errors())) from None


def _explain(group: type[Settings], error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return unknown_name("setting", location, _setting_names(group, error["loc"]))
    if error["type"] == "literal_error":
        return unknown_name(location, str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    message = str(error["ctx"]["error"]) if error["type"] == "value_error" else str(error["msg"])
    return f"{location}: {message} (found {error['input']!r})" if location else message


def _setting_names(group: type[Settings], location: tuple[str | int, ...]) -> list[str]:
    """Dotted names of the settings beside the unknown one."""
    model: type[BaseModel] = group
    inside_table = False  # its keys are names that somebody chose
    for part in location[:-1]:
        if inside_table:
            inside_table = False
            continue
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        inner = _model_in(annotation)
        if inner is not None:
            model, inside_table = inner, inner is not annotation and dict in _origins(annotation)
    prefix = "".join(f"{part}." for part in location[:-1])
    return [prefix + name for name in model.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The group of settings that a field holds: itself, in a table, or or-None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _origins(annotation: Any) -> set[Any]:
    return {getattr(annotation, "__origin__", None)}

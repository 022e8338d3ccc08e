"""Settings of pydantic models as flags: `--schedule.epochs 3`, `--run.no-compile`, `--objective.center.weight 0.01`.

Names, choices and help come from the models in `passerby.config`; values stay text until the models check them, so that
there is one check and one message, whether a value stands in a recipe or behind a flag.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from dataclasses import field, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel

from passerby.config.toml import read_value
from passerby.errors import UsageError

_PLACEHOLDERS: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
_TERMS = "--objective."


def flags_of(settings: type[BaseModel], *, title: str | None = None) -> type:
    """A frozen dataclass with the same names in which everything may be absent, for the command-line parser.

    Args:
        settings: a group of settings, or a recipe of groups. Fields that are dicts have no fixed names and no flags.
        title: heading in the help.
    """
    fields: list[tuple[str, Any, Any]] = []
    for name, about in settings.model_fields.items():
        kind = _without_none(about.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            group = flags_of(kind, title=name)
            fields.append((name, Annotated[group, Parameter(accepts_keys=True)], field(default_factory=group)))
        elif get_origin(kind) is not dict:
            heading: dict[str, Any] = {} if title is None else {"group": Group(title)}
            shown = Parameter(help=" ".join((about.description or "").split()), **_shown(kind), **heading)
            fields.append((name, Annotated[_flag_type(kind), shown], None))
    return make_dataclass(f"{settings.__name__}Flags", fields, frozen=True, namespace={"__module__": __name__})


def _without_none(annotation: Any) -> Any:
    """X of `X | None`, and the type under constraints such as "greater than 0"."""
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _without_none(kinds[0]) if len(kinds) == 1 else str
    return annotation


def _flag_type(kind: Any) -> Any:
    if kind is bool or get_origin(kind) is Literal:
        return kind | None
    return (tuple[str, ...] if get_origin(kind) is tuple else str) | None


def _shown(kind: Any) -> dict[str, Any]:
    """How the value is called in the help."""
    inner = _without_none(get_args(kind)[0]) if get_origin(kind) is tuple else kind
    placeholder = _PLACEHOLDERS.get(inner)
    return {} if placeholder is None else {"metavar": placeholder}


def given(flags: Any) -> dict[str, Any]:
    """The flags that were there, as tables in tables.

    Args:
        flags: of a class that `flags_of` made.
    """
    found: dict[str, Any] = {}
    for name, value in vars(flags).items():
        value = given(value) if is_dataclass(value) else value
        if value is not None and value != {}:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def flag_names(flags: Any, prefix: str = "--") -> list[str]:
    """All flags, as they are typed.

    Args:
        flags: of a class that `flags_of` made.
        prefix: what stands before the names.
    """
    names: list[str] = []
    for name, value in vars(flags).items():
        typed = prefix + name.replace("_", "-")
        names += flag_names(value, f"{typed}.") if is_dataclass(value) else [typed]
    return names


def read_terms(words: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Settings of the objective, whose terms have no fixed names: {"objective.center.weight": 0.01, ...}.

    Args:
        words: what the parser knows no flag for.
        known: the flags there are, to name the nearest one.

    Raises:
        UsageError: a word that is no flag, another unknown flag, or no value behind a flag.
    """
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        flag, separator, value = rest.pop(0).partition("=")
        if not flag.startswith("--"):
            raise UsageError(f"surplus argument: {flag!r} (see `passerby train --help`)")
        if not flag.startswith(_TERMS):
            raise UsageError(f"unknown setting {flag}: {_nearest(flag, known)}`passerby train --help` lists all")
        values = [value] if separator else []
        while not separator and rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
        if not values:
            raise UsageError(f"{flag}: expected a value behind it")
        read = [read_value(text) for text in values]
        found[flag.removeprefix("--").replace("-", "_")] = read[0] if len(read) == 1 else read
    return found


def _nearest(flag: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(flag, known, n=1)
    return f"did you mean {near[0]}? " if near else ""

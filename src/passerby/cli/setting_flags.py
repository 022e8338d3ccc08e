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
from pydantic.fields import FieldInfo

from passerby.errors import UsageError

_PLACEHOLDERS: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
_INSIDE = "__"
"""Between the name of a group that may be absent and that of a setting in it."""


def flags_of(
    settings: type[BaseModel], *, title: str | None = None, prefix: str = "--", leave_out: Sequence[str] = ()
) -> type:
    """A frozen dataclass with the same names in which everything may be absent, for the command-line parser.

    Args:
        settings: a group of settings, or a recipe of groups. Fields that are dicts have no fixed names and no flags.
        title: heading in the help.
        prefix: what stands before the names.
        leave_out: names of fields without a flag.
    """
    fields: list[tuple[str, Any, Any]] = []
    for name, about in settings.model_fields.items():
        kind: Any = _without_none(about.annotation)
        always = about.annotation is kind
        if name in leave_out or get_origin(kind) is dict:
            continue
        if not _is_group(kind):
            fields.append((name, _flag(about, kind, title), None))
        elif always:
            group = flags_of(kind, title=name, prefix=f"{prefix}{name}.")
            fields.append((name, Annotated[group, Parameter(accepts_keys=True)], field(default_factory=group)))
        else:  # a group that may be absent, or be named: --rerank k_reciprocal, --rerank.k1 20 for one setting of it
            fields.append((name, _flag(about, str, title), None))
            for inner, its in kind.model_fields.items():
                typed = f"{prefix}{name}.{inner}".replace("_", "-")
                kind_of_it = _without_none(its.annotation)
                fields.append((f"{name}{_INSIDE}{inner}", _flag(its, kind_of_it, title, name=typed), None))
    return make_dataclass(f"{settings.__name__}Flags", fields, frozen=True, namespace={"__module__": __name__})


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _flag(about: FieldInfo, kind: Any, title: str | None, **more: Any) -> Any:
    """The type of one flag, with its help."""
    heading: dict[str, Any] = {} if title is None else {"group": Group(title)}
    help_text = " ".join((about.description or "").split())
    return Annotated[_flag_type(kind), Parameter(help=help_text, **_shown(kind), **heading, **more)]


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
        if value is None or value == {}:
            continue
        group, _, inner = name.partition(_INSIDE)
        value = list(value) if isinstance(value, tuple) else value
        found[group] = _with(found.get(group), inner, value) if inner else value
    return found


def _with(group: Any, name: str, value: Any) -> dict[str, Any]:
    return {**(group if isinstance(group, dict) else {}), name: value}


def flag_names(flags: Any, prefix: str = "--") -> list[str]:
    """All flags, as they are typed.

    Args:
        flags: of a class that `flags_of` made.
        prefix: what stands before the names.
    """
    names: list[str] = []
    for name, value in vars(flags).items():
        typed = prefix + name.replace(_INSIDE, ".").replace("_", "-")
        names += flag_names(value, f"{typed}.") if is_dataclass(value) else [typed]
    return names


def read_terms(words: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Settings of the objective, whose terms have no fixed names: {"objective.center.weight": 0.01, ...}.

    Args:
        words: what the parser knows no flag for.
        known: the flags there are, to name the nearest one.

    Raises:
        UsageError: a word that is no flag, or another unknown flag.
        ConfigError: no value behind a flag.
    """
    from passerby.config.overrides import take_flags

    changes, others = take_flags(words, "objective")
    if others:
        flag = others[0].partition("=")[0]
        if not flag.startswith("--"):
            raise UsageError(f"surplus argument: {flag!r} (see `passerby train --help`)")
        raise UsageError(f"unknown setting {flag}: {_nearest(flag, known)}`passerby train --help` lists all")
    return changes


def _nearest(flag: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(flag, known, n=1)
    return f"did you mean {near[0]}? " if near else ""

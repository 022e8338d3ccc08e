"""The keyword arguments of a reader: which there are, and whether those given are of the right kind."""

from __future__ import annotations

import inspect
import numbers
import types
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from passerby.errors import DataError, unknown_name

_NOT_OPTIONS = ("split", "verify")  # of every dataset, and given by name


def options_of(read: Callable[..., Any]) -> dict[str, Any]:
    """A reader's own keyword arguments and their defaults."""
    parameters = inspect.signature(read).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _NOT_OPTIONS}


def complete_options(name: str, read: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments with the defaults of the others.

    Args:
        name: the dataset's name, for the error message.
        read: the reader.
        given: what the caller gave.

    Raises:
        DataError: an argument that the reader does not have (with the nearest known one), or of another kind than the
            reader's annotation says.
    """
    options = options_of(read)
    for key in given:
        if key not in options:
            known = unknown_name("argument", key, options) if options else f"unknown argument {key!r}: it takes none"
            raise DataError(f"{name}: {known}")
    check_kinds(name, read, given)
    return {**options, **given}


def check_kinds(name: str, read: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse values that are not what a function's annotations say, such as text where there is a flag.

    Args:
        name: the dataset's name, for the error message.
        read: the function.
        given: some of its keyword arguments.

    Raises:
        DataError: such a value.
    """
    annotations = get_type_hints(read)
    parameters = inspect.signature(read).parameters
    for key, value in given.items():
        kinds = _kinds(annotations[key])
        if any(_is_a(value, kind) for kind in kinds):
            continue
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        if choices and isinstance(value, str):
            raise DataError(f"{name}: {unknown_name(key, value, choices)}")
        words = " or ".join(_WORDS.get(kind) or kind.__name__ for kind in kinds if kind in _TYPES and kind is not _NONE)
        default = parameters[key].default
        example = "" if default is None else f", as in {key} = {default!r}"
        raise DataError(f"{name}: {key} is {value!r}; expected {words or ' or '.join(choices)}{example}")


_NONE = type(None)
_TYPES: dict[Any, type | tuple[type, ...]] = {
    bool: bool,
    int: numbers.Integral,
    float: numbers.Real,
    str: str,
    Path: PathLike,
    _NONE: _NONE,
}
_WORDS = {bool: "true or false"}


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation joins by "or"."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _is_a(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    return isinstance(value, _TYPES[kind]) and (kind is bool or not isinstance(value, bool))

"""The keyword arguments of a reader: which there are, and whether those given are of the right kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

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
            default's.
    """
    options = options_of(read)
    for key, value in given.items():
        if key not in options:
            known = unknown_name("argument", key, options) if options else f"unknown argument {key!r}: it takes none"
            raise DataError(f"{name}: {known}")
        _check_kind(name, key, value, options[key])
    return {**options, **given}


def _check_kind(name: str, key: str, value: object, default: object) -> None:
    if default is None:
        return
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise DataError(f"{name}: {key} is {value!r}; expected {kinds[-1].__name__}, as in {key} = {default!r}")

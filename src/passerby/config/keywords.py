"""Signatures of functions that take single settings as keywords: they show every setting, with its default."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any, TypeVar

from passerby.config.settings_group import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


def keywords_of(group: type[Settings], *, without: Iterable[str] = ()) -> list[Parameter]:
    """The settings of a group as keyword parameters; defaults and types are the group's."""
    types = inspect.get_annotations(group)
    return [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=field.get_default(call_default_factory=True),
            annotation=types.get(name, field.annotation),
        )
        for name, field in group.model_fields.items()
        if name not in without
    ]


def keywords_of_function(function: Callable[..., Any]) -> list[Parameter]:
    """The keyword parameters of a function, as its signature shows them."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.kind is Parameter.KEYWORD_ONLY]


def takes_keywords(keywords: Iterable[Parameter]) -> Callable[[Function], Function]:
    """A decorator: the signature shows these keywords instead of `**changes`; a parameter of that name stays as it is.

    The function is the same, and checks what it is given itself.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
        names = {parameter.name for parameter in own}
        more = [parameter for parameter in keywords if parameter.name not in names]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return decorate

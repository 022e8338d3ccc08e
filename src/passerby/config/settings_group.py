"""What all groups of settings share: frozen, strict, and documented by the text under each field."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
GreyBits = Annotated[int, Field(ge=9, le=16)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

AUTO = "auto"
"""In settings that are fitted to the data when the training begins."""
AUTO_EPOCHS = 0
"""Number that stands for `AUTO` in an `EpochCount`."""
AUTO_PEOPLE = -1
"""Number that stands for `AUTO` in a `PeopleCount`."""


def _read_auto(value: Any, code: int) -> Any:
    if value == AUTO:
        return code
    if value in (code, str(code)):
        raise PydanticCustomError("auto", f'Input should be greater than {code}, or "{AUTO}"')
    return value


EpochCount = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(lambda value: _read_auto(value, AUTO_EPOCHS)),
    PlainSerializer(lambda value: AUTO if value == AUTO_EPOCHS else value, when_used="json"),
]
"""A number of epochs above 0, or "auto"."""
PeopleCount = Annotated[
    int,
    Field(ge=-1),
    BeforeValidator(lambda value: _read_auto(value, AUTO_PEOPLE)),
    PlainSerializer(lambda value: AUTO if value == AUTO_PEOPLE else value, when_used="json"),
]
"""A number of people, 0 included, or "auto"."""

NONE = "none"
"""TOML has no null: this stands for it, in settings that may be absent and in the arguments of losses."""


class Settings(BaseModel):
    """A frozen group of settings in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _none_is_null(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        optional = _optional_fields(cls)
        return {key: None if value == NONE and key in optional else value for key, value in content.items()}


@cache
def _optional_fields(group: type[Settings]) -> frozenset[str]:
    """Fields whose type admits None."""
    return frozenset(
        name
        for name, field in group.model_fields.items()
        if get_origin(field.annotation) in (Union, types.UnionType) and type(None) in get_args(field.annotation)
    )

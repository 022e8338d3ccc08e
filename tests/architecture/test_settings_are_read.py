"""A setting that nothing reads is a promise that nothing keeps."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from passerby.config import Config

SOURCE = Path(__file__).parents[2] / "src" / "passerby"


def groups(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A group of settings and all that it holds."""
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from groups(inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


@cache
def read_attributes() -> set[str]:
    """Names that are read as attributes anywhere but where settings are defined."""
    return {
        node.attr
        for path in SOURCE.rglob("*.py")
        if path.parent.name != "config"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


FIELDS = sorted({(group.__name__, name) for group in groups(Config) for name in group.model_fields})
"""Names alone are looked for: one that another class has too may hide a dead setting, none is called dead wrongly."""


@pytest.mark.parametrize(("group", "name"), FIELDS)
def test_every_setting_is_read(group: str, name: str) -> None:
    assert name in read_attributes(), f"{group}.{name} is read nowhere"


def test_a_dead_setting_would_be_found() -> None:
    assert ("RerankSettings", "lambda_value") in FIELDS
    assert ("TermConfig", "weight") in FIELDS
    assert "checkpoint_fortnights" not in read_attributes()

"""docs/papers.md: one table for all five documents, whose tests, losses, recipes and settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from passerby.config import Config, recipe_names
from passerby.losses import LOSSES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "papers.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")][
    1:
]


@pytest.mark.parametrize("document", ["Overview", "SphereReID", "HAP2S", "SN", "Lin"])
def test_every_document_has_rows(document: str) -> None:
    assert [row for row in ROWS if row[0] == document]


def test_every_row_is_whole() -> None:
    for row in ROWS:
        assert len(row) == 5, row
        assert all(row), row


def test_every_test_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_recipes_in_commands_exist() -> None:
    commands = [
        line for block in re.findall(r"```\n(.*?)```", PAGE, re.S) for line in block.replace("\\\n", "").splitlines()
    ]
    for command in commands:
        words = command.split()
        assert words[:2] == ["passerby", "compare"]
        recipes = words[2 : next(i for i, word in enumerate(words) if word.startswith("--"))]
        assert recipes
        assert set(recipes) <= set(recipe_names())


def test_settings_named_exist() -> None:
    for group, field in re.findall(r"`(model|augment|optimizer|sampler|evaluation|schedule)\.(\w+)", PAGE):
        assert field in type(getattr(Config(), group)).model_fields

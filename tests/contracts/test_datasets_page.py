"""The page about datasets names every dataset and every argument of its reader."""

from pathlib import Path

import pytest

from passerby.data.datasets import DATASETS

PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")


@pytest.mark.parametrize("name", DATASETS)
def test_the_page_knows_the_dataset(name: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
    missing = [argument for argument in DATASETS[name].options() if f"`{argument}`" not in row]
    assert not missing

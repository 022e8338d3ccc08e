"""docs/losses.md says what the table and the docstrings say."""

from pathlib import Path

import pytest

from passerby.errors import UsageError
from passerby.losses import LOSSES
from passerby.losses.docs_page import filled_in, losses_as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"


def test_page_is_up_to_date() -> None:
    page = PAGE.read_text()
    assert filled_in(page) == page, "run: python -m passerby.losses.docs_page docs/losses.md"


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_section_with_its_arguments(name: str) -> None:
    section = losses_as_markdown().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for part in ("reads `", "```text", "**Source:**", "**Degenerate:**", "**Arguments:**"):
        assert part in section


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(UsageError, match="must contain the lines"):
        filled_in("# Losses\n")

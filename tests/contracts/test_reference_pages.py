"""The reference pages name every public name, command, setting and endpoint; the site's contents name every page."""

import re
import sys
from pathlib import Path

import passerby as pb
from passerby.cli import COMMANDS
from passerby.config import Config

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
from generated_pages import (  # type: ignore[import-not-found]  # noqa: E402  # of the docs' own folder
    commands_page,
    http_page,
    python_page,
    settings_page,
)


def test_every_public_name_is_there() -> None:
    page = python_page()
    assert [name for name in pb.__all__ if f"passerby.{name}\n" not in page and f"`pb.{name}`" not in page] == []


def test_every_command_is_there() -> None:
    page = commands_page()
    assert [name for name in COMMANDS if f"## passerby {name}\n" not in page] == []
    assert page.count("usage: ") == len(COMMANDS)


def test_every_group_of_settings_is_there() -> None:
    page = settings_page()
    assert "| `epochs` |" in page
    plain = {"name", "description"}
    groups = [*(set(Config.model_fields) - plain - {"objective"}), "objective.TERM", "tracking"]
    assert [group for group in groups if f"## [{group}]" not in page] == []


def test_endpoints_are_there() -> None:
    page = http_page()
    assert "## POST /v1/identify" in page


def test_every_page_is_in_the_contents() -> None:
    listed = re.findall(r"^[a-z0-9/-]+$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(pages - {"index"} - set(listed)) == []
    assert len(listed) == len(set(listed))

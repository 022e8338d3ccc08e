"""What a release says about itself in several files agrees."""

import re
from pathlib import Path

from passerby.version import __version__

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_same_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## \[(\d[^]]*)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert newest is not None
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {newest[1]}\ndate-released: {newest[2]}\n" in citation
    assert __version__ == newest[1] or "## [Unreleased]" in changes

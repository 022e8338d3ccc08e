"""What an application refuses before it opens a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerby.errors import ConfigError
from passerby.service.app import create_app


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"audit_reads": "all"}, "audit_reads: expected one of nothing, pictures, everything, found 'all'"),
        ({"keys": {"a token": "root"}}, "keys: expected a role of read, write, admin, found 'root'"),
    ],
)
def test_words_that_mean_nothing_are_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Taken as they are, the audit would be off, and each request with such a key a fault."""
    encoder: Any = None
    arguments: dict[str, Any] = {"keys": {"a token": "read"}, **options}
    with pytest.raises(ConfigError, match=said):
        create_app(tmp_path / "people.gallery", encoder, **arguments)
    assert not list(tmp_path.iterdir())

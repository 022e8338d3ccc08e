"""Input files are looked for before what takes seconds to import."""

from __future__ import annotations

import os
from pathlib import Path

from passerby.errors import UsageError


def check_there(what: str, *paths: str | os.PathLike[str] | None) -> None:
    """Refuse a path that is not there; None and addresses (SCHEME://...) pass.

    Args:
        what: what is expected there, for the message.
        *paths: as typed.

    Raises:
        UsageError: the first of them that is not there.
    """
    for path in paths:
        if path is not None and "://" not in os.fspath(path) and not Path(path).expanduser().exists():
            raise UsageError(f"{path}: no such file or folder; expected {what}")

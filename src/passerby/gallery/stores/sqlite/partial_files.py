"""Files that are written beside their place and renamed when they are whole; those of killed processes are deleted."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path


def partial_file(target: Path) -> Path:
    """Where this process writes what becomes `target`."""
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def remove_partials_of_the_dead(target: Path) -> None:
    """Delete what processes that were killed have left of `target`: it may hold people who were forgotten since.

    Args:
        target: a gallery, or a backup; its folder may be read-only.
    """
    if sys.platform == "win32":  # nobody can be asked there whether a process lives without ending it
        return
    name = re.compile(re.escape(f".{target.name}.") + r"(\d+)\.(?:\d+\.)?partial(?:-wal|-shm|-journal)?")
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            found = name.fullmatch(entry.name)
            if found is not None and not _lives(int(found[1])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

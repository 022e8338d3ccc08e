"""How many threads this process may use."""

from __future__ import annotations

import os

from passerby.errors import ConfigError


def usable_threads() -> int:
    """Processor cores that this process may run on; OMP_NUM_THREADS, which torch obeys too, sets fewer or more."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none.

    Raises:
        ConfigError: less than one.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: expected at least 1, found {threads}")

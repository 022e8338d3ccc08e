"""How many threads this process may use."""

from __future__ import annotations

import os

from passerby.errors import ConfigError

MOST_THREADS = 1024
"""More than any machine has processors for one network; a hundred thousand would stop the machine."""


def usable_threads() -> int:
    """Processor cores that this process may run on; OMP_NUM_THREADS, which torch obeys too, sets fewer or more."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none, or that no machine has.

    Raises:
        ConfigError: less than one, or more than `MOST_THREADS`.
    """
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"threads: expected at least 1, found {threads}")
    if threads > MOST_THREADS:
        raise ConfigError(f"threads: expected at most {MOST_THREADS:,}, found {threads:,}")

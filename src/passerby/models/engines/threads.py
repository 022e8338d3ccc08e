"""How many threads this process may use."""

from __future__ import annotations

import os


def usable_threads() -> int:
    """Processor cores that this process may run on; OMP_NUM_THREADS, which torch obeys too, sets fewer or more."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

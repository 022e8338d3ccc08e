"""Whether there is memory for a computation, asked before it begins and not found out after a minute."""

from __future__ import annotations

import sys
from pathlib import Path

from passerby.errors import EmbeddingError

_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"))


def check_memory(need: int, what: str, advice: str) -> None:
    """Refuse what does not fit into the memory that this process can still get.

    Args:
        need: bytes, at its peak.
        what: needs them.
        advice: what to do instead.

    Raises:
        EmbeddingError: there is less.
    """
    available = available_memory()
    if available is not None and need > available:
        raise EmbeddingError(
            f"{what} needs about {need / 2**30:.1f} GiB of memory, and {available / 2**30:.1f} GiB are free; {advice}"
        )


def available_memory() -> int | None:
    """Bytes that this process can still get: of the machine, its container and its own limit; None: not known."""
    found = [free for free in (_of_machine(), _of_container(), _of_process()) if free is not None]
    return max(0, min(found)) if found else None


def _of_machine() -> int | None:
    return _kibibytes(Path("/proc/meminfo"), "MemAvailable:")


def _of_container() -> int | None:
    try:
        most, used = (path.read_text().strip() for path in _CGROUP)
        return None if most == "max" else int(most) - int(used)
    except (OSError, ValueError):
        return None


def _of_process() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _kibibytes(Path("/proc/self/status"), "VmSize:")
    return None if limit == resource.RLIM_INFINITY or used is None else limit - used


def _kibibytes(file: Path, name: str) -> int | None:
    try:
        line = next(line for line in file.read_text().splitlines() if line.startswith(name))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration, ValueError, IndexError):
        return None

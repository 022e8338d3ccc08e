"""How long each of several ways to encode a batch takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def seconds_of_each(ways: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of every round of every way.

    They take turns, so that all see the same machine; each runs once before, to warm up.

    Args:
        ways: what to time, by name.
        rounds: how often each is timed.
    """
    for run in ways.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds

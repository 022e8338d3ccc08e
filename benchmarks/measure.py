"""Measuring side by side: candidates take turns in one run, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each candidate.

    Every candidate runs once unmeasured (compilation, caches), then all run in turn, `rounds` times.

    Args:
        candidates: what to run, by name.
        rounds: how often.
        clock: `time.perf_counter` for elapsed time; `time.process_time` for the processor time of all threads, from
            which a rate per core follows even where other programs run beside.
    """
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}

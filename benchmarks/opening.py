"""What opening a gallery's file costs, and the first search; beside reading the same bytes into new memory.

    python -m benchmarks.opening                        # makes 1,000,000 x 512: 2.2 GB of disk, 4.5 GB of memory
    python -m benchmarks.opening --size 100000
    python -m benchmarks.opening --file people.gallery

Opening reads settings and identities. Whose observations are asked for needs their columns, too, and the first search
every vector, each block of which is compared with its checksum. Prints the best and the median of some rounds,
interleaved: where a machine has to find memory first, or other programs share it, that is most of the times, so look at
the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.gallery import fill
from passerby.gallery.gallery import Gallery

_PIECE = 1 << 22

T = TypeVar("T")


def read(path: Path) -> None:
    """All bytes of the file, into memory that was not in use."""
    held = memoryview(np.empty(path.stat().st_size, np.uint8))
    place = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(held[place : place + _PIECE]):  # type: ignore[attr-defined]
            place += count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--file", type=Path, default=None, help="a gallery that is there")
    parser.add_argument("--folder", type=Path, default=None, help="where a new one is made (default: the system's)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = arguments.file
        if path is None:
            path = Path(folder) / "people.gallery"
            with Gallery.open(path) as gallery:
                fill(gallery, arguments.size, arguments.dim)
        report(path, arguments.rounds)


def report(path: Path, rounds: int) -> None:
    """All, in turns."""
    times: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, task: Callable[[], T]) -> T:
        start, began = time.perf_counter(), time.process_time()
        found = task()
        times.setdefault(name, []).append((time.perf_counter() - start, time.process_time() - began))
        return found

    for _ in range(rounds):
        timed("read the bytes", lambda: read(path))
        with timed("open", lambda: Gallery.open(path)) as gallery:
            timed("columns", lambda: gallery.observation_count)
            timed("all vectors", gallery.load)
            probe = gallery.vectors([1])[0]
            timed("a search then", partial(gallery.identify, probe, threshold=0.5))
    print(f"{path.stat().st_size / 2**20:,.0f} MiB")
    for kind, title in enumerate(("by the clock", "processor time")):
        base = [value[kind] for value in times["read the bytes"]]
        for name, values in times.items():
            found = [value[kind] for value in values]
            ratio = statistics.median(one / other for one, other in zip(found, base, strict=True))
            print(
                f"{title:<15} {name:<15} best {min(found):6.2f} s   median {statistics.median(found):6.2f} s   "
                f"{ratio:5.2f} x"
            )


if __name__ == "__main__":
    main()

"""What opening a gallery's file costs, beside reading the same bytes into new memory, interleaved in one run.

    python -m benchmarks.opening                        # makes 1,000,000 x 512: 2.2 GB of disk, 4.5 GB of memory
    python -m benchmarks.opening --size 100000
    python -m benchmarks.opening --file people.gallery

Opening reads every observation: names, columns, and vectors, each block of which is compared with its checksum. Prints
the best and the median of some rounds: where a machine has to find memory first, or other programs share it, that is
most of both times, so look at the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.gallery import fill
from passerby.gallery.gallery import Gallery

_PIECE = 1 << 22


def read(path: Path) -> None:
    """All bytes of the file, into memory that was not in use."""
    held = memoryview(np.empty(path.stat().st_size, np.uint8))
    place = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(held[place : place + _PIECE]):  # type: ignore[attr-defined]
            place += count


def opened(path: Path) -> None:
    """The gallery, ready for searches."""
    with Gallery.open(path):
        pass


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
    """Both, in turns."""
    tasks = {"read the bytes": lambda: read(path), "open": lambda: opened(path)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start, began = time.perf_counter(), time.process_time()
            task()
            times[name].append((time.perf_counter() - start, time.process_time() - began))
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

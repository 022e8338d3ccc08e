"""What the embedded gallery costs, beside the bare product of the same size, interleaved in one run.

    python -m benchmarks.gallery                     # 100,000 x 512
    python -m benchmarks.gallery --size 1000000      # needs 2.3 GB of disk and 4.5 GB of memory
    python -m benchmarks.gallery --storage float16

Prints, for one probe and for batches of 32: the time of `Gallery.identify` (the public method, with the check
for other processes' changes, the filters, the selection, and exact distances) over the time of `G @ q` (or `G @ Q.T`).
Then bulk enrolment, single durable enrolments, opening, and forgetting. Where other programs share the processor, look
at the ratios, and among them at those of processor time (with OMP_NUM_THREADS=1: the threads of a product that wait for
each other count as busy).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from passerby.gallery.gallery import Gallery

IMAGES = 10
CAMERAS = 6


def unit(rows: np.ndarray) -> np.ndarray:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def people(first: int, count: int, dim: int) -> np.ndarray:
    """The centres of people first..first+count-1, unit vectors."""
    return unit(np.random.default_rng([7, first]).standard_normal((count, dim), dtype=np.float32))


def around(centres: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Pictures of these people: unit vectors at about 0.65 from their centres (other people are at about 1.41)."""
    noise = draw.standard_normal(centres.shape, dtype=np.float32)
    return unit(centres + np.float32(0.7 / centres.shape[1] ** 0.5) * noise)


Times = dict[str, list[tuple[float, float]]]
"""For each task, seconds by the clock and of the processor, round by round."""


def interleaved(rounds: int, tasks: dict[str, Callable[[], object]]) -> Times:
    """Times of each task, one after the other in every round; the first round warms up and does not count."""
    times: Times = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            start, began = time.perf_counter(), time.process_time()
            task()
            times[name].append((time.perf_counter() - start, time.process_time() - began))
    return {name: values[1:] for name, values in times.items()}


def report(title: str, times: Times) -> None:
    """Medians, and the median of the ratio to the first task of the same round."""
    print(f"\n{title:<46}  by the clock            processor time")
    base = next(iter(times.values()))
    for name, values in times.items():
        shown = ""
        for kind in (0, 1):
            ratio = statistics.median(one[kind] / other[kind] for one, other in zip(values, base, strict=True))
            shown += f"{1e3 * statistics.median(one[kind] for one in values):9.2f} ms {ratio:5.2f} x   "
        print(f"  {name:<44} {shown.rstrip()}")


def fill(gallery: Gallery, size: int, dim: int) -> None:
    """Enrol people (clusters of vectors) in calls of 50,000 vectors."""
    draw = np.random.default_rng(0)
    spent = used = 0.0
    for start in range(0, size, 50_000):
        count = min(50_000, size - start)
        rows = around(people(start // IMAGES, count // IMAGES, dim).repeat(IMAGES, axis=0), draw)
        names = [f"person-{(start + i) // IMAGES}" for i in range(count)]
        cameras = [f"camera-{i % CAMERAS}" for i in range(count)]
        times = (start + np.arange(count)).astype(np.float64)
        begin, began = time.perf_counter(), time.process_time()
        gallery.enroll_many(names, rows, cameras=cameras, times=times.tolist())
        spent += time.perf_counter() - begin
        used += time.process_time() - began
    print(f"bulk enrolment: {size / spent:,.0f} vectors/s ({size / used:,.0f} a second of processor time)")


def searches(gallery: Gallery, size: int, dim: int, rounds: int) -> None:
    draw = np.random.default_rng(1)
    matrix = gallery.vectors(range(1, size + 1))
    probes = around(people(0, 50_000 // IMAGES, dim)[:32], draw)
    probe = probes[5]
    cameras = [f"camera-{i % CAMERAS}" for i in range(32)]
    window = {"after": 0.1 * size, "before": 0.9 * size}
    times = interleaved(
        rounds,
        {
            "bare G @ q": lambda: matrix @ probe,
            "identify": lambda: gallery.identify(probe),
            "identify, other cameras": lambda: gallery.identify(probe, camera="camera-1"),
            "identify, other cameras, time window": lambda: gallery.identify(probe, camera="camera-1", **window),
            "identify, mean of 3 nearest": lambda: gallery.identify(probe, score="mean"),
            "identify, centroid": lambda: gallery.identify(probe, score="centroid"),
        },
    )
    report(f"one probe, {size:,} x {dim}", times)
    times = interleaved(
        max(3, rounds // 3),
        {
            "bare G @ Q.T": lambda: matrix @ probes.T,
            "identify_many": lambda: gallery.identify_many(probes),
            "identify_many, one camera": lambda: gallery.identify_many(probes, cameras=["camera-1"] * 32),
            "identify_many, time window": lambda: gallery.identify_many(probes, **window),
            "identify_many, own cameras": lambda: gallery.identify_many(probes, cameras=cameras),
            "identify_many, own cameras, time window": lambda: gallery.identify_many(probes, cameras=cameras, **window),
            "identify_many, mean of 3 nearest": lambda: gallery.identify_many(probes, score="mean"),
            "identify_many, centroid": lambda: gallery.identify_many(probes, score="centroid"),
        },
    )
    report(f"32 probes, {size:,} x {dim}", times)


def writes(gallery: Gallery, dim: int) -> None:
    draw = np.random.default_rng(2)
    spent = []
    for number in range(50):
        begin = time.perf_counter()
        gallery.enroll(f"single-{number}", vectors=draw.standard_normal(dim))
        spent.append(time.perf_counter() - begin)
    print(
        f"\nsingle durable enrolment: median {1e3 * statistics.median(spent):.2f} ms, worst {1e3 * max(spent):.2f} ms"
    )
    begin = time.perf_counter()
    gallery.forget("person-5")
    print(f"forget one person of {IMAGES} observations: {1e3 * (time.perf_counter() - begin):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--storage", choices=["float32", "float16"], default="float32")
    parser.add_argument("--folder", type=Path, default=None, help="where the file is made (default: the system's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "people.gallery"
        with Gallery.open(path, storage=arguments.storage) as gallery:
            fill(gallery, arguments.size, arguments.dim)
        print(f"file: {path.stat().st_size / 2**20:,.0f} MiB ({arguments.storage})")
        begin, began = time.perf_counter(), time.process_time()
        with Gallery.open(path) as gallery:
            used = time.process_time() - began
            print(f"open: {time.perf_counter() - begin:.2f} s ({used:.2f} s of processor time)")
            searches(gallery, arguments.size, arguments.dim, arguments.rounds)
            writes(gallery, arguments.dim)


if __name__ == "__main__":
    main()

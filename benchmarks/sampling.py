"""An epoch's P x K batches for a million images of 100,000 identities, against a sampler of plain Python loops.

    python -m benchmarks.sampling
    python -m benchmarks.sampling --images 200000 --identities 20000

The baseline (`looped`) is the usual identity sampler: a dictionary of lists, a shuffle for every identity, then P
identities drawn at a time. All of it is single-threaded; seconds of processor time are medians of interleaved runs.
Memory is the peak that one epoch adds, measured apart.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.measure import interleaved
from passerby.config import SamplerConfig
from passerby.data.sampling.sampler import make_sampler

P, K = 16, 4
PEER = "Python loops, chunks"


def looped(labels: list[int], seed: int) -> list[int]:
    """P x K with chunks, written the obvious way."""
    rng = random.Random(seed)
    images = defaultdict(list)
    for index, label in enumerate(labels):
        images[label].append(index)
    chunks = {}
    for label, own in images.items():
        while len(own) < K:
            own += own
        rng.shuffle(own)
        chunks[label] = [own[i : i + K] for i in range(0, len(own) - K + 1, K)]
    alive = list(chunks)
    order = []
    while len(alive) >= P:
        # choosing positions and swapping the last one in keeps this loop linear, as few of the usual samplers do
        for place in sorted(rng.sample(range(len(alive)), P), reverse=True):
            label = alive[place]
            order += chunks[label].pop()
            if not chunks[label]:
                alive[place] = alive[-1]
                alive.pop()
    return order


def peak(run: Callable[[], object]) -> float:
    """MiB that a run adds at most."""
    tracemalloc.start()
    kept = run()
    value = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    del kept
    return value


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--identities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, arguments.identities, arguments.images)
    cameras = rng.integers(0, 6, arguments.images)
    candidates = _candidates(labels, cameras)
    indices = {name: int(np.size(run())) for name, run in candidates.items()}
    seconds = interleaved(candidates, rounds=arguments.rounds, clock=time.process_time)
    base = seconds[PEER] / indices[PEER]
    print(f"{arguments.images:,} images of {arguments.identities:,} identities, P = {P}, K = {K}: one epoch")
    print(f"{'':28s} {'indices':>10s} {'seconds':>9s} {'us/index':>9s} {'ratio':>8s} {'peak MiB':>9s}")
    for name, run in candidates.items():
        count, each = indices[name], seconds[name] / indices[name]
        row = f"{name:28s} {count:10,d} {seconds[name]:9.3f} {each * 1e6:9.3f} {base / each:7.1f}x"
        print(f"{row} {peak(run):9.0f}")


def _candidates(labels: npt.NDArray[np.int64], cameras: npt.NDArray[np.int64]) -> dict[str, Callable[[], object]]:
    listed = labels.tolist()
    candidates: dict[str, Callable[[], object]] = {PEER: lambda: looped(listed, 0)}
    for name, config in {
        "pk, chunks": SamplerConfig(identities=P, images=K),
        "pk, identities": SamplerConfig(identities=P, images=K, epoch="identities"),
        "camera, chunks": SamplerConfig(kind="camera", identities=P, images=K),
        "balanced": SamplerConfig(kind="balanced", identities=P, images=K),
        "shuffled": SamplerConfig(kind="shuffled", identities=P, images=K),
    }.items():
        sampler = make_sampler(config, labels, cameras, seed=0)
        candidates[f"passerby, {name}"] = lambda sampler=sampler: sampler.epoch_batches(1)
    return candidates


if __name__ == "__main__":
    main()

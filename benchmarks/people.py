"""Drawn embeddings of people, easy and hard images mixed, and the bare product that ranking is compared with."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from passerby.embedding.embeddings import Embeddings

SIZES = {"market1501": (3_368, 15_913, 750), "msmt17": (11_659, 82_161, 3_060), "distractors": (3_368, 515_913, 750)}


def draw(
    queries: int, images: int, people: int, dim: int, *, noise: float, seed: int = 0
) -> tuple[Embeddings, Embeddings]:
    """Query and gallery of unit vectors; images beyond 21 a person are distractors (person 0)."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((people + 1, dim), dtype=np.float32)

    def part(pids: np.ndarray) -> Embeddings:
        vectors = rng.standard_normal((len(pids), dim), dtype=np.float32)
        vectors *= (noise * np.exp(0.5 * rng.standard_normal(len(pids)))).astype(np.float32)[:, None]
        known = pids > 0
        vectors[known] += centers[pids[known]]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embeddings(vectors, pids, rng.integers(0, 6, len(pids)))

    gallery = rng.integers(1, people + 1, images)
    gallery[: max(0, images - 30 * people)] = 0
    return part(rng.integers(1, people + 1, queries)), part(rng.permutation(gallery))


def blocked_product(a: np.ndarray, b: np.ndarray, rows: int = 512, columns: int = 2048) -> None:
    """All products of a's rows with b's, tile by tile, thrown away."""
    tile = np.empty(rows * columns, dtype=np.float32)
    for left in range(0, len(b), columns):
        y = b[left : left + columns]
        for top in range(0, len(a), rows):
            x = a[top : top + rows]
            np.matmul(x, y.T, out=tile[: len(x) * len(y)].reshape(len(x), len(y)))


class PeakMemory:
    """`with PeakMemory() as peak: ...` then `peak.mib`: resident memory above that at the start (Linux)."""

    mib = float("nan")

    def __enter__(self) -> PeakMemory:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        self._before = _status("VmRSS")
        return self

    def __exit__(self, *error: object) -> None:
        self.mib = (_status("VmHWM") - self._before) / 1024


def _status(name: str) -> int:
    """A figure of /proc/self/status in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

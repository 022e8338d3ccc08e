"""Tiles: some queries against some gallery vectors, scored by one float32 product and looked at by several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.search.products import Product, product_on
from passerby.search.screening import Screen, make_screen

WORKERS = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_LONG = 10**9  # pairs from which on a progress bar is shown


@dataclass(frozen=True)
class QueryBlock:
    """Some queries, prepared for products.

    Attributes:
        rows: their numbers, [n].
        doubled: twice their prepared vectors, [n, dim].
        squared: squared lengths of the prepared vectors, [n].
        slack: how far a score may be from its exact value, [n].
    """

    rows: Int64
    doubled: Float32
    squared: Float64
    slack: Float32


@dataclass(frozen=True)
class GalleryBlock:
    """Some gallery vectors, prepared for products.

    Attributes:
        columns: their numbers, [n].
        vectors: prepared, [n, dim].
        offset: what is subtracted from each one's products, [n].
    """

    columns: Int64
    vectors: Float32
    offset: Float32


@dataclass(frozen=True)
class Tiles:
    """One search: two sets of vectors, their screen, the product, and the threads that look at its results.

    Attributes:
        query: [q, dim].
        gallery: [g, dim].
        screen: how they are prepared, and the bound on a score's error.
        product: (a, b, out): out becomes a @ b.T.
        pool: `WORKERS` threads.
    """

    query: Float32
    gallery: Float32
    screen: Screen
    product: Product
    pool: ThreadPoolExecutor

    def queries(self, rows: Int64) -> QueryBlock:
        """Prepare some queries."""
        prepared, squared = self.screen.prepare(self.query, rows)
        prepared *= np.float32(2.0)
        return QueryBlock(rows, prepared, squared, self.screen.slack(squared, self.query.shape[1]))

    def gallery_block(self, columns: Int64) -> GalleryBlock:
        """Prepare some gallery vectors."""
        vectors, squared = self.screen.prepare(self.gallery, columns)
        return GalleryBlock(columns, vectors, self.screen.offsets(squared))

    def scores(self, doubled: Float32, block: GalleryBlock, buffer: Float32) -> Float32:
        """Products of doubled queries with a block, [n, m], in the first n * m entries of `buffer`.

        Less the block's offset they are scores; larger is nearer.
        """
        shape = (len(doubled), len(block.columns))
        scores = buffer[: shape[0] * shape[1]].reshape(shape)
        self.product(doubled, block.vectors, scores)
        return scores

    def share(self, count: int, job: Callable[[int, int], None]) -> None:
        """Run job(start, end) for one part of 0..count for each thread, and wait for all."""
        step = -(-count // WORKERS)
        for running in [self.pool.submit(job, s, min(s + step, count)) for s in range(0, count, step)]:
            running.result()


@contextmanager
def open_tiles(query: Float32, gallery: Float32, *, cosine: bool, device: str | None) -> Iterator[Tiles]:
    """Begin a search.

    Args:
        query: [q, dim].
        gallery: [g, dim].
        cosine: compare by cosine similarity, not Euclidean distance.
        device: where products are computed (`passerby.search.products`); None: the CPU.

    Raises:
        ConfigError: no such device here.
    """
    screen = make_screen(query, gallery, cosine=cosine)
    with product_on(device) as product, ThreadPoolExecutor(WORKERS) as pool:
        yield Tiles(query, gallery, screen, product, pool)


def blocks(rows: Int64, size: int) -> list[Int64]:
    """Row numbers, at most `size` together."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def bar_length(length: int, pairs: int, *, progress: bool) -> int:
    """The length of a progress bar: 0 (none is shown) where it is not wanted or there is little to do."""
    return length if progress and pairs >= _LONG else 0

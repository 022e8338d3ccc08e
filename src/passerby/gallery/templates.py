"""Which vectors of a person are worth storing: few of each camera, and unlike each other."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Int64


def diverse_rows(vectors: Float32, most: int, *, stored: Float32 | None = None) -> Int64:
    """Rows [at most `most`] of unit vectors [n, D], ascending: each the farthest from those chosen before it.

    The first is the most typical one (nearest to the mean), or the farthest from what is stored.

    Args:
        vectors: to choose from.
        most: how many there may be, those stored not counted.
        stored: unit vectors [m, D] that are there already.
    """
    wanted = min(most, len(vectors))
    if wanted <= 0:
        return np.zeros(0, np.int64)
    if stored is None or not len(stored):
        chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
        likeness = vectors @ vectors[chosen[0]]
    else:
        chosen, likeness = [], (vectors @ stored.T).max(axis=1)
    while len(chosen) < wanted:
        likeness[chosen] = np.inf
        chosen.append(int(np.argmin(likeness)))
        likeness = np.maximum(likeness, vectors @ vectors[chosen[-1]])
    return np.sort(np.array(chosen, np.int64))

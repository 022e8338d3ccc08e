"""How alike vectors are by the neighbours they share: the Jaccard similarity of k-reciprocal neighbours, sparse.

Zhong et al. 2017 (arXiv:1701.08398), equations 2 to 5 and 7 to 9, with squared Euclidean distances in the weights; only
pairs with a similarity above 0 are stored, since nearly all others share nobody.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Int64

Pairs = list[dict[int, float]]
_CHUNK = 1024


def jaccard_similarity(vectors: Float32, *, k1: int, k2: int) -> Pairs:
    """For each unit vector [n, D] the others that share neighbours with it, and how alike they are, above 0 up to 1.

    Args:
        vectors: of unit length.
        k1: neighbours that are looked at.
        k2: neighbours whose sets are averaged; 1: none but the own.
    """
    n = len(vectors)
    k1 = min(k1, n - 1)
    near, squared = _nearest(vectors, k1 + 1)
    sets = [_weights(i, near, squared, vectors, k1) for i in range(n)]
    if k2 > 1:
        sets = [_mean([sets[j] for j in near[i, :k2].tolist()]) for i in range(n)]
    holders: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for i, weights in enumerate(sets):
        for j, weight in weights.items():
            holders[j].append((i, weight))
    found: Pairs = []
    for i, weights in enumerate(sets):
        shared: dict[int, float] = {}
        for j, weight in weights.items():
            for other, theirs in holders[j]:
                shared[other] = shared.get(other, 0.0) + min(weight, theirs)
        found.append({j: min(1.0, both / (2 - both)) for j, both in shared.items() if j != i})
    return found


def _nearest(vectors: Float32, count: int) -> tuple[Int64, Float32]:
    """The nearest `count` of each [n, count], itself first, with squared distances."""
    near = np.empty((len(vectors), count), np.int64)
    squared = np.empty((len(vectors), count), np.float32)
    for start in range(0, len(vectors), _CHUNK):
        part = np.maximum(2 - 2 * vectors[start : start + _CHUNK] @ vectors.T, 0)
        rows = np.arange(len(part))
        part[rows, start + rows] = -1  # itself first, whatever is equal to it
        chosen = np.argpartition(part, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(part, chosen, axis=1), axis=1, kind="stable")
        near[start : start + _CHUNK] = np.take_along_axis(chosen, order, axis=1)
        squared[start : start + _CHUNK] = np.take_along_axis(part, near[start : start + _CHUNK], axis=1)
    return near, np.maximum(squared, 0)


def _reciprocal(i: int, near: Int64, count: int) -> list[int]:
    """Those of the nearest `count` of i (itself among them) that have i among their own."""
    return [j for j in near[i, :count].tolist() if i in near[j, :count]]


def _weights(i: int, near: Int64, squared: Float32, vectors: Float32, k1: int) -> dict[int, float]:
    """The extended k-reciprocal set of i with weights that sum to 1."""
    own = _reciprocal(i, near, k1 + 1)
    original, members = set(own), set(own)
    half = round(k1 / 2) + 1
    for j in own:
        theirs = _reciprocal(j, near, half)
        if 3 * len(original.intersection(theirs)) > 2 * len(theirs):
            members.update(theirs)
    chosen = sorted(members)
    raw = np.exp(-np.maximum(2 - 2 * vectors[chosen] @ vectors[i], 0))
    return dict(zip(chosen, (raw / raw.sum()).tolist(), strict=True))


def _mean(sets: list[dict[int, float]]) -> dict[int, float]:
    found: dict[int, float] = {}
    for weights in sets:
        for j, weight in weights.items():
            found[j] = found.get(j, 0.0) + weight / len(sets)
    return found

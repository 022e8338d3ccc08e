"""k-reciprocal re-ranking (Zhong, Zheng, Cao, Li, CVPR 2017, arXiv:1701.08398)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from passerby.errors import ConfigError, unknown_name
from passerby.evaluation import arrays
from passerby.evaluation.arrays import Float32, Int64
from passerby.evaluation.ranking import pairwise


def rerank_k_reciprocal(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    *,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> Float32:
    """Blend the Jaccard distance of k-reciprocal neighbour sets with the distance itself.

    Args:
        query_vectors: [q, dim].
        gallery_vectors: [g, dim].
        k1: neighbours that must be mutual.
        k2: neighbours whose sets are averaged; 1: none.
        lambda_value: weight of the original distance.

    Returns:
        Distances [q, g], float32, in 0..1.

    Raises:
        EmbeddingError: vectors that are not [n, dim] finite floats of one length.
    """
    query = arrays.as_vectors(query_vectors, "query_vectors")
    gallery = arrays.as_vectors(gallery_vectors, "gallery_vectors")
    arrays.check_same_dim(query, gallery, "query_vectors", "gallery_vectors")
    both = np.concatenate([query, gallery])
    n, q = len(both), len(query)
    distance = pairwise(both, both, "euclidean") ** 2
    np.fill_diagonal(distance, 0.0)
    largest = distance.max(axis=1, keepdims=True)
    distance = np.divide(distance, largest, out=np.zeros_like(distance), where=largest > 0)
    ahead = distance.copy()
    np.fill_diagonal(ahead, -1.0)  # self first, then index order
    order = np.argsort(ahead, axis=1, kind="stable")

    def mutual(i: int, k: int) -> Int64:
        forward = order[i, : k + 1]
        return np.asarray(forward[(order[forward, : k + 1] == i).any(axis=1)])

    weights = np.zeros((n, n))
    half = round(k1 / 2)
    for i in range(n):
        original = mutual(i, k1)
        expanded = [original]
        for candidate in original:
            others = mutual(int(candidate), half)
            if 3 * len(np.intersect1d(others, original)) > 2 * len(others):
                expanded.append(others)
        members = np.unique(np.concatenate(expanded))
        value = np.exp(-distance[i, members])
        weights[i, members] = value / value.sum()
    if k2 != 1:
        weights = np.stack([weights[order[i, :k2]].mean(axis=0) for i in range(n)])
    shared = np.stack([np.minimum(weights[i], weights[q:]).sum(axis=1) for i in range(q)])
    jaccard = 1 - shared / (2 - shared)
    return np.asarray((1 - lambda_value) * jaccard + lambda_value * distance[:q, q:], dtype=np.float32)


_SETTINGS = {"k1", "k2", "lambda_value"}


def rerank_settings(rerank: str | Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `rerank_k_reciprocal` from "k_reciprocal" or a dict of them (its defaults where none are given).

    Raises:
        ConfigError: another name, or an unknown setting.
    """
    if isinstance(rerank, str):
        if rerank != "k_reciprocal":
            raise ConfigError(unknown_name("re-ranking", rerank, ["k_reciprocal"]))
        rerank = {}
    for name in rerank:
        if name not in _SETTINGS:
            raise ConfigError(unknown_name("setting of k_reciprocal", name, _SETTINGS))
    return {"k1": 20, "k2": 6, "lambda_value": 0.3} | dict(rerank)

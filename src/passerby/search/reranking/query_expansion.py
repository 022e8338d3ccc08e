"""Query expansion and database augmentation: a vector becomes a weighted mean of itself and its neighbours."""

from __future__ import annotations

import math

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.errors import ConfigError
from passerby.search import arrays
from passerby.search.neighbors import top_k


def expand_queries(
    query_vectors: arrays.Vectors,
    gallery_vectors: arrays.Vectors,
    *,
    neighbors: int = 10,
    alpha: float = 0.0,
) -> Float32:
    """Average (alpha = 0) or α-weighted query expansion.

    q' = q + Σ_i max(cos(q, g_i), 0)^α g_i over the nearest gallery images by cosine, scaled to length 1 (Chum et al.
    2007; Radenović, Tolias, Chum 2019, arXiv:1711.02512, with α = 3). Rows are scaled to length 1 first.

    Args:
        query_vectors: [q, dim].
        gallery_vectors: [g, dim].
        neighbors: how many gallery images are added.
        alpha: how fast weights fall with similarity.

    Returns:
        New query vectors, float32 [q, dim], of length 1.

    Raises:
        EmbeddingError: vectors that are not [n, dim] finite floats of one length.
        ConfigError: a setting out of range.
    """
    query, gallery = _unit(query_vectors, "query_vectors"), _unit(gallery_vectors, "gallery_vectors")
    arrays.check_same_dim(query, gallery, "query_vectors", "gallery_vectors")
    _check(neighbors, alpha)
    indices, distances = top_k(query, gallery, min(neighbors, len(gallery)), metric="cosine")
    return _mixed(query, gallery, indices, 1.0 - distances.astype(np.float64), alpha)


def augment_gallery(gallery_vectors: arrays.Vectors, *, neighbors: int = 10, alpha: float = 0.0) -> Float32:
    """Database augmentation: each gallery vector mixed with its nearest in the gallery, as `expand_queries` does.

    Args:
        gallery_vectors: [g, dim].
        neighbors: how many others are added.
        alpha: how fast weights fall with similarity.

    Returns:
        New gallery vectors, float32 [g, dim], of length 1.

    Raises:
        EmbeddingError: vectors that are not [n, dim] finite floats.
        ConfigError: a setting out of range.
    """
    gallery = _unit(gallery_vectors, "gallery_vectors")
    _check(neighbors, alpha)
    indices, distances = top_k(gallery, gallery, min(neighbors + 1, len(gallery)), metric="cosine")
    similar = 1.0 - distances.astype(np.float64)
    # the vector itself stands among them (first, unless copies of it come before) and is no neighbour
    own = indices == np.arange(len(gallery))[:, None]
    drop = np.where(own.any(axis=1), own.argmax(axis=1), indices.shape[1] - 1)
    keep = np.arange(indices.shape[1]) != drop[:, None]
    shape = (len(gallery), indices.shape[1] - 1)
    return _mixed(gallery, gallery, indices[keep].reshape(shape), similar[keep].reshape(shape), alpha)


def _mixed(vectors: Float32, gallery: Float32, indices: Int64, similar: Float64, alpha: float) -> Float32:
    result = np.empty_like(vectors)
    for i, (near, weight) in enumerate(zip(indices, np.maximum(similar, 0.0) ** alpha, strict=True)):
        mixed = vectors[i] + weight @ gallery[near].astype(np.float64)
        length = np.sqrt(mixed @ mixed)
        result[i] = mixed / length if length > 0 else 0.0
    return result


def _unit(vectors: arrays.Vectors, name: str) -> Float32:
    checked = arrays.as_vectors(vectors, name)
    lengths = np.sqrt(np.einsum("nd,nd->n", checked, checked, dtype=np.float64))
    return np.asarray(checked / np.where(lengths > 0, lengths, 1.0)[:, None], dtype=np.float32)


def _check(neighbors: int, alpha: float) -> None:
    if neighbors < 1 or not 0 <= alpha < math.inf:
        raise ConfigError(
            f"expected neighbors of 1 or more and a finite alpha of 0 or more, found {neighbors} and {alpha}"
        )

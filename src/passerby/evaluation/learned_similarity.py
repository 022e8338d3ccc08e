"""The verification loss's own similarity of two vectors, as a distance that every search here understands.

The loss (Zheng, Zheng, Yang 2017, arXiv:1611.05666) learns z = u . (x - y)^2 + b, the log odds that two images show one
person. Gallery images by falling z are those by rising D = sum_k (-u_k) (x_k - y_k)^2. Where -u_k is negative,
-(x - y)^2 = (x + y)^2 - 2 x^2 - 2 y^2, so with coordinates scaled by sqrt|u_k|, P those with u_k <= 0 and N the others,

    D = |(x_P, x_N, 0) - (y_P, -y_N, s)|^2 - 2 |x_N|^2 - C,   s = sqrt(C - 2 |y_N|^2),   C = 2 max over y of |y_N|^2:

plain Euclidean distances of vectors with one coordinate more, up to a constant of each query. Ranking by it costs what
plain ranking costs. It is no distance between two queries or between two gallery images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from passerby.array_types import Float32, Float64
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError


@dataclass(frozen=True)
class LearnedSimilarity:
    """z = u . (x - y)^2 + b for unit vectors x and y.

    Attributes:
        weight: u, float32 [D].
        bias: b.
        fingerprint: of the encoder whose vectors it was learnt on; empty: not known.
        notes: facts a report must repeat.
    """

    weight: Float32
    bias: float
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    def log_odds(self, x: Float32, y: Float32) -> Float64:
        """Z of pairs of rows, [n]: above 0 the loss takes them for one person."""
        squares = np.square(x.astype(np.float64) - y)
        return np.asarray(squares @ self.weight.astype(np.float64) + self.bias)

    def as_euclidean(self, query: Embeddings, gallery: Embeddings) -> tuple[Embeddings, Embeddings]:
        """Both with vectors [n, D + 1] whose Euclidean distances rank every query's gallery by falling z.

        Raises:
            EmbeddingError: vectors of another length, or of another encoder.
        """
        for name, side in (("query", query), ("gallery", gallery)):
            if side.vectors.shape[1] != len(self.weight):
                raise EmbeddingError(
                    f"{name}: the learned similarity is of vectors of length {len(self.weight)}, found "
                    f"{side.vectors.shape[1]}; embed with the run's own encoder"
                )
            if self.fingerprint and side.fingerprint and side.fingerprint != self.fingerprint:
                raise EmbeddingError(
                    f"{name}: vectors of another encoder ({side.fingerprint[:12]}) than the learned similarity's "
                    f"({self.fingerprint[:12]}); embed with the run's own encoder"
                )
        scale = np.sqrt(np.abs(self.weight))
        towards = self.weight > 0  # a difference there makes two images more alike
        x, y = query.vectors * scale, gallery.vectors * scale
        lengths = 2 * np.square(y[:, towards], dtype=np.float64).sum(axis=1)
        y = np.where(towards, -y, y)
        extra = np.sqrt(lengths.max(initial=0.0) - lengths)
        first = np.concatenate([x, np.zeros((len(x), 1))], axis=1).astype(np.float32)
        second = np.concatenate([y, extra[:, None]], axis=1).astype(np.float32)
        return replace(query, vectors=first), replace(gallery, vectors=second)

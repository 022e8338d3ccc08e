"""Ranking by a learned similarity equals sorting every pair by its log odds."""

from __future__ import annotations

import numpy as np
import pytest

from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.learned_similarity import LearnedSimilarity
from passerby.evaluation.rank import rank


def people(n: int, seed: int, camera: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(vectors, 1 + np.arange(n) % 5, np.full(n, camera), fingerprint="a" * 64)


QUERY, GALLERY = people(7, 0, 0), people(40, 1, 1)


@pytest.mark.parametrize("weights", ["falling", "rising", "both"])
def test_order_is_that_of_the_log_odds(weights: str) -> None:
    u = np.random.default_rng(2).normal(size=6).astype(np.float32) * 30
    u = {"falling": -abs(u), "rising": abs(u), "both": u}[weights]
    learned = LearnedSimilarity(u, 0.7, "a" * 64)
    ranked = rank(QUERY, GALLERY, top=40, similarity=learned)
    for q in range(len(QUERY)):
        slow = [
            0.7 + sum(float(u[k]) * (float(QUERY.vectors[q, k]) - float(GALLERY.vectors[g, k])) ** 2 for k in range(6))
            for g in range(len(GALLERY))
        ]
        found = [slow[g] for g in ranked.indices[q]]
        np.testing.assert_allclose(found, sorted(slow, reverse=True), atol=1e-4)
        np.testing.assert_allclose(ranked.distances[q], 1 / (1 + np.exp(found)), atol=1e-5)
    assert ranked.report is not None
    assert "ranked by the verification loss's own similarity" in ranked.report.notes


def test_equal_weights_below_zero_rank_as_euclidean_does() -> None:
    learned = LearnedSimilarity(np.full(6, -3.0, np.float32), 0.0)
    a, b = rank(QUERY, GALLERY, similarity=learned), rank(QUERY, GALLERY)
    assert np.array_equal(a.indices, b.indices)
    assert a.report is not None
    assert b.report is not None
    assert a.report.mAP == pytest.approx(b.report.mAP)


def test_what_does_not_go_with_it_is_refused() -> None:
    learned = LearnedSimilarity(np.ones(6, np.float32), 0.0, "a" * 64)
    with pytest.raises(ConfigError, match="re-ranking does not go with it"):
        rank(QUERY, GALLERY, similarity=learned, rerank="k_reciprocal")
    with pytest.raises(ConfigError, match="metric 'cosine'"):
        rank(QUERY, GALLERY, similarity=learned, metric="cosine")
    with pytest.raises(ConfigError, match="subtracting camera means does not go with it"):
        rank(QUERY, GALLERY, similarity=learned, camera_statistics="test")
    with pytest.raises(EmbeddingError, match="length 5, found 6"):
        rank(QUERY, GALLERY, similarity=LearnedSimilarity(np.ones(5, np.float32), 0.0))
    with pytest.raises(EmbeddingError, match="another encoder"):
        rank(QUERY, GALLERY, similarity=LearnedSimilarity(np.ones(6, np.float32), 0.0, "b" * 64))

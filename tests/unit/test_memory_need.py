"""What does not fit into memory is refused before it begins."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from passerby.config.evaluation import RerankSettings
from passerby.errors import EmbeddingError
from passerby.search import memory_need
from passerby.search.reranking import k_reciprocal


def test_reranking_is_refused_where_it_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    assert k_reciprocal.rerank_k_reciprocal(vectors[:10], vectors[10:]).shape == (10, 30)
    monkeypatch.setattr(memory_need, "available_memory", lambda: 10_000)
    monkeypatch.setattr(k_reciprocal, "neighbors", lambda *_, **__: pytest.fail("it had begun"))
    with pytest.raises(EmbeddingError, match=r"re-ranking 10 queries among 30 vectors needs about .* GiB"):
        k_reciprocal.rerank_k_reciprocal(vectors[:10], vectors[10:])


def test_reranking_needs_no_matrix_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 queries among 60,000 fit into 1 GiB, where a matrix of all pairs alone has 14; tiles come on top of it."""
    needs: list[int] = []
    monkeypatch.setattr(k_reciprocal, "check_memory", lambda need, *_: needs.append(need))
    k_reciprocal._check_memory(2_000, 60_000, 512, RerankSettings(), result=True)
    assert needs.pop() < 2**30
    draw = np.random.default_rng(0)
    query, gallery = (draw.standard_normal((n, 16)).astype(np.float32) for n in (50, 3_000))
    tracemalloc.start()
    try:
        k_reciprocal.rerank_k_reciprocal(query, gallery)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < needs.pop() + 64 * 2**20


def test_free_memory_is_known_or_not() -> None:
    found = memory_need.available_memory()
    assert found is None or found >= 0

"""What does not fit into memory is refused before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
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
    """2,000 queries among 60,000 fit into 1 GiB, where a matrix of all pairs alone has 14."""
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
    assert peak < needs.pop()


PEAKS = """
import numpy as np
from pathlib import Path
from passerby.search.reranking import k_reciprocal


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


draw = np.random.default_rng(0)
needs = []
k_reciprocal.check_memory = lambda need, *_: needs.append(need)
vectors = draw.standard_normal((1000, 16)).astype(np.float32)
k_reciprocal.rerank_k_reciprocal(vectors[:20], vectors[20:])  # loads the compiled code
sizes = ((20, 300, 16, 300), (100, 4000, 96, 300), (900, 2000, 16, 5), (100, 4000, 16, 4000))
for queries, gallery, dim, people in sizes:
    centers = draw.standard_normal((people, dim), dtype=np.float32)
    vectors = centers[draw.integers(0, people, queries + gallery)]
    vectors += 0.5 * draw.standard_normal(vectors.shape, dtype=np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until now
    before = status("VmRSS")
    k_reciprocal.rerank_k_reciprocal(vectors[:queries], vectors[queries:])
    print(needs[-1], status("VmHWM") - before)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no peak of memory that can be reset here")
def test_reranking_never_takes_more_than_was_estimated() -> None:
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        need, peak = map(int, line.split())
        assert peak <= need <= 8 * peak + 2**26, done.stdout


def test_free_memory_is_known_or_not() -> None:
    found = memory_need.available_memory()
    assert found is None or found >= 0

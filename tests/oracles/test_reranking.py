"""k-reciprocal re-ranking against its dense definition in float64."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passerby as pb
from passerby.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::passerby.evaluation.closed_set.result.ScoreWarning")


def dense(
    query: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    overlap: str = "more",
    half: str = "python",
    blend: str = "normalized",
) -> np.ndarray:
    """Steps 1 to 4, one after the other, on full matrices."""
    x = np.concatenate([query, gallery]).astype(np.float64)
    n, q = len(x), len(query)
    squared = np.array([[float(((a - b) ** 2).sum()) for b in x] for a in x])
    most = squared.max(axis=1, keepdims=True)
    d = np.divide(squared, most, out=np.zeros_like(squared), where=most > 0)
    ranked = []
    for i in range(n):
        ranked.append(sorted(range(n), key=lambda j: (j != i, d[i, j], j)))

    def mutual(i: int, size: int) -> list[int]:
        return [j for j in ranked[i][:size] if i in ranked[j][:size]]

    few = round(k1 / 2) + 1 if half == "python" else math.floor((k1 + 1) / 2 + 0.5)
    v = np.zeros((n, n))
    for i in range(n):
        original = mutual(i, k1 + 1)
        members = set(original)
        for c in original:
            others = mutual(c, few)
            common = len(set(others) & set(original))
            if 3 * common > 2 * len(others) or (overlap == "at_least" and 3 * common == 2 * len(others)):
                members |= set(others)
        for j in members:
            v[i, j] = math.exp(-d[i, j])
        v[i] /= v[i].sum()
    if k2 != 1:
        v = np.array([v[ranked[i][:k2]].mean(axis=0) for i in range(n)])
    result = np.empty((q, n - q))
    for i in range(q):
        for j in range(q, n):
            s = np.minimum(v[i], v[j]).sum()
            base = d[i, j] if blend == "normalized" else math.sqrt(squared[i, j])
            result[i, j - q] = (1 - lambda_value) * (1 - s / (2 - s)) + lambda_value * base
    return result


def world(
    seed: int, queries: int, images: int, people: int, spread: int | None = None, dim: int = 6
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if spread is not None:  # whole numbers: many ties
        q, g = (rng.integers(-spread, spread + 1, (n, dim)).astype(np.float32) for n in (queries, images))
        return q, g, rng.integers(1, people + 1, queries), rng.integers(0, people + 1, images)
    centers = rng.standard_normal((people + 1, dim))
    qp, gp = rng.integers(1, people + 1, queries), rng.integers(0, people + 1, images)
    q, g = ((centers[p] + 0.7 * rng.standard_normal((len(p), dim))).astype(np.float32) for p in (qp, gp))
    return q, g, qp, gp


VARIANTS: list[dict[str, Any]] = [
    {},
    {"k1": 7, "k2": 3, "lambda_value": 0.85},
    {"k1": 7, "half": "matlab"},
    {"k1": 5, "overlap": "at_least"},
    {"k2": 1},
    {"k2": 30, "k1": 3},
    {"lambda_value": 0.0},
    {"lambda_value": 1.0},
    {"blend": "raw"},
    {"k1": 1},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_equals_the_dense_definition(variant: dict[str, Any]) -> None:
    q, g, _, _ = world(1, 12, 70, 8)
    found = pb.rerank_k_reciprocal(q, g, **variant)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, dense(q, g, **variant), rtol=0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40), st.integers(0, 2), st.integers(1, 12),
    st.integers(1, 8),
)  # fmt: skip
def test_equals_the_dense_definition_with_ties_and_few_images(
    seed: int, queries: int, images: int, spread: int, k1: int, k2: int
) -> None:
    q, g, _, _ = world(seed, queries, images, 4, spread=spread, dim=3)
    found = pb.rerank_k_reciprocal(q, g, k1=k1, k2=k2)
    np.testing.assert_allclose(found, dense(q, g, k1=k1, k2=k2), rtol=0, atol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("cameras", [1, 3])
def test_streamed_scores_equal_those_of_the_dense_distances(variant: dict[str, Any], cameras: int) -> None:
    q, g, qp, gp = world(2, 40, 160, 8)
    gp[::17] = -1
    rng = np.random.default_rng(0)
    qc, gc = rng.integers(0, cameras, len(q)), rng.integers(0, 3, len(g))
    exclude = "same_camera" if cameras == 3 else "same_id_same_camera"
    report = pb.evaluate_embeddings(q, g, qp, gp, qc, gc, rerank=variant, exclude=exclude)
    counted = gp != -1
    distance = dense(q, g[counted], **variant)
    rows = dict(zip(report.per_query.index.tolist(), report.per_query.ap.tolist(), strict=True))
    for i in range(len(q)):
        same_camera = gc[counted] == qc[i]
        drop = same_camera if cameras == 3 else same_camera & (gp[counted] == qp[i])
        kept = np.flatnonzero(~drop)
        order = kept[np.argsort(distance[i, kept], kind="stable")]
        hits = np.flatnonzero(gp[counted][order] == qp[i]) + 1
        if len(hits):
            assert rows[i] == pytest.approx((np.arange(1, len(hits) + 1) / hits).mean(), abs=1e-12)
    assert report.rerank is not None
    assert report.rerank["method"] == "k_reciprocal"
    assert any("transductive" in note for note in report.notes)


def test_it_helps_where_people_form_clusters() -> None:
    q, g, qp, gp = world(5, 60, 400, 20, dim=12)
    plain = pb.evaluate_embeddings(q, g, qp, gp)
    assert pb.evaluate_embeddings(q, g, qp, gp, rerank="k_reciprocal").mAP > plain.mAP
    cosine = pb.evaluate_embeddings(q * 3, g, qp, gp, rerank="k_reciprocal", metric="cosine")
    unit_q, unit_g = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, g))
    assert cosine.mAP == pytest.approx(
        pb.evaluate_embeddings(unit_q, unit_g, qp, gp, rerank="k_reciprocal").mAP, abs=1e-9
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [({"k1": 0}, "k1"), ({"k2": 1.5}, "k2"), ({"lambda_value": 1.1}, "lambda"), ({"half": "r"}, "half"),
     ({"k": 3}, "k1")],
)  # fmt: skip
def test_bad_settings_are_named(change: dict[str, Any], message: str) -> None:
    q, g, qp, gp = world(1, 3, 9, 2)
    with pytest.raises(ConfigError, match=message):
        pb.evaluate_embeddings(q, g, qp, gp, rerank=change)

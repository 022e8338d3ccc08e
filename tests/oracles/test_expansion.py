"""Query expansion and database augmentation against their formulas."""

from functools import partial

import numpy as np
import pytest

import passerby as pb
from passerby.errors import ConfigError
from passerby.search.reranking.query_expansion import augment_gallery, expand_queries


def unit(x: np.ndarray) -> np.ndarray:
    made: np.ndarray = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return made


def slow(vector: np.ndarray, others: np.ndarray, neighbors: int, alpha: float) -> np.ndarray:
    cosines = [float(vector @ o) for o in others]
    near = sorted(range(len(others)), key=lambda j: (-cosines[j], j))[:neighbors]
    return unit(vector + sum(max(cosines[j], 0) ** alpha * others[j] for j in near))


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("neighbors", [1, 4, 99])
def test_expansion_by_the_formula(alpha: float, neighbors: int) -> None:
    rng = np.random.default_rng(0)
    q, g = rng.standard_normal((6, 5)), 3 * rng.standard_normal((20, 5))
    found = expand_queries(q, g, neighbors=neighbors, alpha=alpha)
    expected = [slow(x, unit(g), neighbors, alpha) for x in unit(q)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found = augment_gallery(g, neighbors=neighbors, alpha=alpha)
    expected = [slow(x, np.delete(unit(g), i, axis=0), neighbors, alpha) for i, x in enumerate(unit(g))]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_expansion_helps_where_people_form_clusters() -> None:
    rng = np.random.default_rng(1)
    centers = rng.standard_normal((21, 16))
    pids = rng.integers(1, 21, 400)
    vectors = unit(centers[pids] + 1.2 * rng.standard_normal((400, 16))).astype(np.float32)
    q, g, qp, gp = vectors[:60], vectors[60:], pids[:60], pids[60:]
    plain = pb.evaluate_embeddings(q, g, qp, gp).mAP
    assert pb.evaluate_embeddings(expand_queries(q, g, neighbors=5), g, qp, gp).mAP > plain
    both = augment_gallery(g, neighbors=5)
    assert pb.evaluate_embeddings(expand_queries(q, both, neighbors=5), both, qp, gp).mAP > plain


def test_copies_and_lonely_images() -> None:
    g = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)
    np.testing.assert_allclose(augment_gallery(g, neighbors=1)[:3], g[:3])
    np.testing.assert_allclose(augment_gallery(g[:1]), g[:1])
    with pytest.raises(ConfigError, match="neighbors"):
        expand_queries(g, g, neighbors=0)


@pytest.mark.parametrize("alpha", [-1.0, np.nan, np.inf])
def test_weights_that_no_mean_has(alpha: float) -> None:
    g = np.eye(2, dtype=np.float32)
    for mixed in (partial(expand_queries, g, g), partial(augment_gallery, g)):
        with pytest.raises(ConfigError, match="finite alpha"):
            mixed(neighbors=1, alpha=alpha)

"""Clusters of Jaccard distances, and the links that they may not break."""

import numpy as np
import pytest

from passerby.adaptation.agreement import agreement
from passerby.adaptation.clustering import Clustering, cluster
from passerby.adaptation.criterion import hold_out
from passerby.search.reranking.jaccard_graph import JaccardGraph, jaccard_graph
from passerby.search.reranking.k_reciprocal import rerank_k_reciprocal


def people(count: int, images: int, *, noise: float = 0.2, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    vectors = np.repeat(generator.normal(size=(count, 16)), images, axis=0)
    vectors += noise * generator.normal(size=vectors.shape)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def graph_of(distances: dict[tuple[int, int], float], n: int) -> JaccardGraph:
    """A symmetric graph of some pairs, with the diagonal."""
    full = {(i, i): 0.0 for i in range(n)} | distances | {(b, a): d for (a, b), d in distances.items()}
    rows = [[(j, full[i, j]) for j in range(n) if (i, j) in full] for i in range(n)]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = np.array([j for row in rows for j, _ in row], np.int32)
    return JaccardGraph(starts, columns, np.array([d for row in rows for _, d in row], np.float32), 0.5)


def test_graph_is_the_dense_distance_where_it_is_small() -> None:
    vectors = people(12, 5, noise=0.4)
    graph = jaccard_graph(vectors, limit=0.6, k1=8, k2=3)
    dense = rerank_k_reciprocal(vectors, vectors, k1=8, k2=3, lambda_value=0.0)
    # the dense function sees every vector twice, as query and as gallery, so only what is near must be near
    stored = np.ones((60, 60), np.float32)
    for row in range(60):
        part = slice(graph.starts[row], graph.starts[row + 1])
        stored[row, graph.columns[part]] = graph.distances[part]
    assert (graph.distances <= 0.6).all()
    np.testing.assert_allclose(stored, stored.T, atol=1e-6)
    assert np.allclose(np.diag(stored), 0, atol=1e-6)
    own = np.repeat(np.arange(12), 5)
    assert stored[own[:, None] == own].mean() < 0.3 < stored[own[:, None] != own].mean()
    assert np.corrcoef(stored[stored < 1], dense[stored < 1])[0, 1] > 0.8


def test_people_become_clusters() -> None:
    found = cluster(jaccard_graph(people(20, 6), limit=0.5, k1=8, k2=3), min_samples=4)
    assert found.clusters == 20
    assert found.outliers == 0
    assert found.labels.tolist() == np.repeat(np.arange(20), 6).tolist()


def test_a_chain_is_cut_where_a_link_forbids_it() -> None:
    graph = graph_of({(0, 1): 0.1, (1, 2): 0.4, (2, 3): 0.1}, 4)
    assert cluster(graph, min_samples=2).clusters == 1
    found = cluster(graph, min_samples=2, cannot=np.array([[0, 3]]))
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert (found.links, found.broken) == (1, 1)
    assert cluster(graph, min_samples=3, cannot=np.array([[0, 3]])).labels.tolist() == [-1, -1, -1, -1]


def test_a_link_between_clusters_changes_nothing() -> None:
    graph = graph_of({(0, 1): 0.1, (2, 3): 0.1}, 4)
    found = cluster(graph, min_samples=2, cannot=np.array([[0, 3]]))
    assert (found.labels.tolist(), found.broken) == ([0, 0, 1, 1], 0)


def test_agreement_against_a_library() -> None:
    from sklearn.metrics import adjusted_rand_score

    generator = np.random.default_rng(0)
    for _ in range(5):
        a, b = generator.integers(0, 6, (2, 40))
        expected = adjusted_rand_score(a, b)
        assert agreement(Clustering(a), Clustering(b)) == pytest.approx(expected)


def test_a_collapsed_encoder_gets_no_agreement() -> None:
    one, none = Clustering(np.zeros(9, np.int64)), Clustering(np.full(9, -1))
    assert agreement(one, one) == agreement(none, none) == agreement(one, none) == 0.0


def test_held_out_neighbourhoods() -> None:
    vectors = people(40, 16)
    held = hold_out(vectors, 0.2, seed=0)
    assert held.sum() == round(0.2 * 640)
    share = held.reshape(40, 16).mean(axis=1)
    assert ((share == 0) | (share == 1)).sum() >= 30  # the others lie on a border
    assert hold_out(vectors, 0.0, seed=0).sum() == 0

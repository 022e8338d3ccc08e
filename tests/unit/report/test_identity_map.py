"""Exact t-SNE: its gradient, its affinities, and that neighbours stay neighbours."""

import numpy as np
import pytest

from passerby.report.identity_map import _affinities, _gradient, choose_images, principal_components, tsne


def divergence(affinities: np.ndarray, y: np.ndarray) -> float:
    n = len(y)
    kernel = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                kernel[i, j] = 1 / (1 + ((y[i] - y[j]) ** 2).sum())
    q = kernel / kernel.sum()
    return float(
        sum(affinities[i, j] * np.log(affinities[i, j] / q[i, j]) for i in range(n) for j in range(n) if i != j)
    )


def test_gradient_is_that_of_the_divergence() -> None:
    generator = np.random.default_rng(0)
    affinities = _affinities(generator.normal(size=(7, 3)), 2.0)
    y = generator.normal(size=(7, 2))
    found = _gradient(affinities, y)
    step = 1e-6
    for i in range(7):
        for k in range(2):
            ahead, behind = y.copy(), y.copy()
            ahead[i, k] += step
            behind[i, k] -= step
            slope = (divergence(affinities, ahead) - divergence(affinities, behind)) / (2 * step)
            assert found[i, k] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_affinities_are_symmetric_and_sum_to_one() -> None:
    affinities = _affinities(np.random.default_rng(1).normal(size=(30, 5)), 8.0)
    np.testing.assert_allclose(affinities, affinities.T)
    assert affinities.sum() == pytest.approx(1.0, abs=1e-6)


def test_groups_stay_together() -> None:
    generator = np.random.default_rng(2)
    owner = np.repeat(np.arange(6), 20)
    vectors = np.eye(16)[owner] + generator.normal(0, 0.05, (120, 16))
    y = tsne(vectors)
    distances = np.linalg.norm(y[:, None] - y[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (owner[distances.argmin(axis=1)] == owner).mean() == 1.0
    np.testing.assert_array_equal(y, tsne(vectors))


@pytest.mark.parametrize("vectors", [np.zeros((1, 4)), np.eye(2, 4), np.eye(3, 4), np.zeros((9, 4)), np.ones((5, 1))])
def test_few_or_equal_vectors_give_finite_places(vectors: np.ndarray) -> None:
    places = tsne(vectors, iterations=100)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_principal_components_keep_the_distances_of_a_plane() -> None:
    generator = np.random.default_rng(3)
    plane = generator.normal(size=(12, 2)) @ np.linalg.qr(generator.normal(size=(6, 2)))[0].T
    flat = principal_components(plane)
    before = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    after = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_choice_leaves_out_junk_distractors_and_single_images() -> None:
    pids = np.array([-1, -1, 0, 0, 0, 4, 5, 5, 6, 6, 6])
    rows = choose_images(pids, identities=5, images=2, seed=0)
    chosen = pids[rows].tolist()
    assert sorted(set(chosen)) == [5, 6]
    assert chosen.count(6) == 2
    assert choose_images(np.array([1, 2, 3])).size == 0

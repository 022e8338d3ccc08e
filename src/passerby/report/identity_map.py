"""A map of chosen identities: their vectors laid out on a plane by exact t-SNE."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float64

_EXAGGERATION = 12.0
_TINY = 1e-12


def choose_images(
    pids: npt.NDArray[np.int64], *, identities: int = 16, images: int = 24, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Rows of some identities that have several images.

    Args:
        pids: [n] identities; junk and distractors (below 1) are never chosen.
        identities: at most so many, drawn from the half with the most images (or more, to have so many).
        images: at most so many of each.
        seed: of the draw.

    Returns:
        ascending row numbers; empty where no identity has two images.
    """
    generator = np.random.default_rng(seed)
    names, counts = np.unique(pids[pids > 0], return_counts=True)
    several = counts >= 2
    names, counts = names[several], counts[several]
    if len(names) == 0:
        return np.empty(0, dtype=np.int64)
    rich = names[np.argsort(-counts, kind="stable")][: max(identities, len(names) // 2)]
    chosen = generator.choice(rich, size=min(identities, len(rich)), replace=False)
    rows = [generator.permutation(np.flatnonzero(pids == pid))[:images] for pid in chosen]
    return np.sort(np.concatenate(rows)).astype(np.int64)


def tsne(vectors: npt.ArrayLike, *, perplexity: float = 20.0, iterations: int = 500, seed: int = 0) -> Float64:
    """Exact t-SNE of a few hundred vectors: neighbours stay neighbours; other distances mean little.

    Minimises KL(P || Q) with p_ij the symmetrised Gaussian affinities of the vectors, each row's width set to the
    perplexity, and q_ij ~ 1 / (1 + |y_i - y_j|^2), by gradient descent with momentum, gains and early exaggeration.
    Starts from the first two principal components. Time and memory grow with n^2 (500 points: about a second).

    Args:
        vectors: [n, D], finite.
        perplexity: effective number of neighbours; at most (n - 1) / 3 is used.
        iterations: of gradient descent; the first half exaggerates P twelvefold.
        seed: of the small noise that parts equal vectors.

    Returns:
        float64 [n, 2]. Up to three vectors are placed by their principal components.

    Source: van der Maaten, Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; the start and the learning rate
    max(n / 48, 50) are those of scikit-learn.
    """
    x = np.asarray(vectors, dtype=np.float64)
    n = len(x)
    start = principal_components(x)
    if n <= 3:
        return start
    affinities = _affinities(x, min(perplexity, (n - 1) / 3))
    noise = np.random.default_rng(seed).normal(0.0, 1e-6, (n, 2))
    y = 1e-4 * start / max(float(start[:, 0].std()), _TINY) + noise
    update, gains = np.zeros_like(y), np.ones_like(y)
    rate = max(n / _EXAGGERATION / 4, 50.0)
    for iteration in range(iterations):
        early = iteration < iterations // 2
        gradient = _gradient(affinities * (_EXAGGERATION if early else 1.0), y)
        gains = np.maximum(np.where(update * gradient < 0, gains + 0.2, gains * 0.8), 0.01)
        update = (0.5 if early else 0.8) * update - rate * gains * gradient
        y = y + update
    centred: Float64 = y - y.mean(axis=0)
    return centred


def principal_components(vectors: npt.ArrayLike) -> Float64:
    """Project [n, D] vectors on their first two principal components: float64 [n, 2]."""
    x = np.asarray(vectors, dtype=np.float64)
    centred = x - x.mean(axis=0)
    left, scales, _ = np.linalg.svd(centred, full_matrices=False)
    projected: Float64 = np.zeros((len(x), 2))
    rank = min(2, len(scales))
    projected[:, :rank] = left[:, :rank] * scales[:rank]
    # the sign of a singular vector is arbitrary: the largest entry shall be positive
    extremes = projected[np.abs(projected).argmax(axis=0), [0, 1]]
    projected *= np.where(extremes < 0, -1.0, 1.0)
    return projected


def _squared_distances(x: Float64) -> Float64:
    norms = (x * x).sum(axis=1)
    squared: Float64 = np.maximum(norms[:, None] + norms[None, :] - 2.0 * (x @ x.T), 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared


def _affinities(x: Float64, perplexity: float) -> Float64:
    """Symmetric p_ij that sum to 1; each row's Gaussian width by bisection on its entropy."""
    squared = _squared_distances(x)
    n = len(x)
    others = ~np.eye(n, dtype=bool)
    # rows are shifted by their smallest distance and scaled: exp neither overflows nor vanishes
    near = np.where(others, squared, np.inf).min(axis=1, keepdims=True)
    shifted = np.where(others, squared - near, 0.0)
    shifted /= max(float(shifted.mean()), _TINY)
    low, high = np.zeros((n, 1)), np.full((n, 1), np.inf)
    beta = np.ones((n, 1))
    target = np.log(perplexity)
    rows: Float64 = np.zeros((n, n))
    for _ in range(60):
        weights = np.exp(-shifted * beta) * others
        total = weights.sum(axis=1, keepdims=True)
        rows = weights / total
        entropy = np.log(total) + beta * (rows * shifted).sum(axis=1, keepdims=True)
        wide = entropy > target
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2.0, (low + high) / 2.0)
        beta = np.minimum(beta, 1e6)
    joint: Float64 = np.maximum((rows + rows.T) / (2.0 * n), _TINY)
    return joint


def _gradient(affinities: Float64, y: Float64) -> Float64:
    kernel = 1.0 / (1.0 + _squared_distances(y))
    np.fill_diagonal(kernel, 0.0)
    pull = (affinities - kernel / max(float(kernel.sum()), _TINY)) * kernel
    gradient: Float64 = 4.0 * (pull.sum(axis=1, keepdims=True) * y - pull @ y)
    return gradient

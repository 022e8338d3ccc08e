"""A drawn place: vectors of people under cameras that each add a direction of their own."""

import numpy as np

from passerby.array_types import Float32
from passerby.embedding.embeddings import Embeddings

DIM = 24


def place(people: int, *, cameras: int = 3, offset: float = 0.6, images: int = 2, seed: int = 0) -> Embeddings:
    """People seen by every camera; each camera adds a direction of its own."""
    generator = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), cameras * images)
    camera = np.tile(np.repeat(np.arange(cameras), images), people)
    vectors = generator.normal(size=(people, DIM))[person] + offset * generator.normal(size=(cameras, DIM))[camera]
    vectors += 0.2 * generator.normal(size=vectors.shape)
    return Embeddings(unit(vectors), person + 1, camera, fingerprint="an encoder")


def unit(vectors: np.ndarray) -> Float32:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)

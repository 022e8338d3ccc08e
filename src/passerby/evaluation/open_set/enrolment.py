"""Half of the people enrolled, the other half impostors: how open-set figures are had from a closed-set dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from passerby.array_types import Int64
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.open_set.curves import OpenSetReport, evaluate_open_set


def half_of(pids: Int64, seed: int) -> Int64:
    """Half of these people (one fewer of an odd number), drawn by `seed`."""
    return np.random.default_rng(seed).permutation(pids)[: len(pids) // 2]


def enroll(gallery: Embeddings, known: Int64) -> tuple[Embeddings, Embeddings]:
    """The gallery's images of these people, and its images of all others."""
    enrolled = np.isin(gallery.pids, known)
    return gallery.select(enrolled), gallery.select(~enrolled)


def evaluate_half_enrolled(
    query: Embeddings,
    gallery: Embeddings,
    people: Int64,
    *,
    far: Sequence[float] = (0.01, 0.1),
    metric: str = "euclidean",
    exclude: str = "same_id_same_camera",
    seed: int = 0,
) -> OpenSetReport | None:
    """Search every query among half of some people.

    Args:
        query: the probes.
        gallery: what half of the people are enrolled with.
        people: whom to choose from, [n] person ids.
        far: false accept rates.
        metric: "euclidean" or "cosine".
        exclude: as in `passerby.evaluate_open_set`.
        seed: chooses who is enrolled.

    Returns:
        The report; None where there are fewer than two people.

    Raises:
        EmbeddingError: as `passerby.evaluate_open_set`.
    """
    distinct = np.unique(people)
    if len(distinct) < 2:
        return None
    enrolled, _ = enroll(gallery, half_of(distinct, seed))
    return evaluate_open_set(
        query.vectors,
        enrolled.vectors,
        query.pids,
        enrolled.pids,
        query.camids,
        enrolled.camids,
        far=far,
        metric=metric,
        exclude=exclude,
    )

"""Distances relative to a cohort of other people, so that one threshold fits all cameras and images better.

With mean μ and standard deviation σ of an image's distances to the cohort:

- z: (d - μ_g) / σ_g of the enrolled image g (Auckenthaler, Carey, Lloyd-Thomas 2000).
- adaptive_s: ((d - μ_p) / σ_p + (d - μ_g) / σ_g) / 2, each over the image's `size` nearest in the cohort (Matějka et
  al., "Analysis of score normalization in multilingual speaker recognition", 2017).

Smaller still means nearer. Cohort images of the probe's or the enrolled person would bias it: take other people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.inputs import check_name, check_whole
from passerby.search import arrays
from passerby.search.distances import pairwise, row_blocks

NORMALIZATIONS = ("z", "adaptive_s")

Normalize: TypeAlias = Callable[[Float64, slice, Int64], Float64]
"""(distances [rows, g], rows of the probes, rows of the gallery) -> normalised distances."""


def cohort_normalization(
    name: str | None,
    cohort_vectors: arrays.Vectors | None,
    probe: Float32,
    gallery: Float32,
    *,
    metric: str,
    size: int = 200,
) -> Normalize | None:
    """The function that normalises distances, None for none.

    Args:
        name: None, "z" or "adaptive_s".
        cohort_vectors: [c, dim].
        probe: [p, dim].
        gallery: [g, dim].
        metric: "euclidean" or "cosine".
        size: adaptive_s: how many of the cohort's nearest.

    Raises:
        ConfigError: an unknown name, or a cohort without a name or the reverse.
        EmbeddingError: a cohort of fewer than two images.
    """
    if name is None:
        if cohort_vectors is not None:
            raise ConfigError("cohort_vectors: say how to use them, normalization='z' or 'adaptive_s'")
        return None
    check_name("normalization", name, NORMALIZATIONS)
    if cohort_vectors is None:
        raise ConfigError(f"normalization {name!r} needs cohort_vectors: images of people who are not enrolled")
    check_whole("cohort_size", size)
    cohort = arrays.as_vectors(cohort_vectors, "cohort_vectors")
    arrays.check_same_dim(cohort, gallery, "cohort_vectors", "gallery_vectors")
    if len(cohort) < 2 or size < 2:
        raise EmbeddingError(f"cohort_vectors: expected at least 2 images to be used, found {min(len(cohort), size)}")
    nearest = len(cohort) if name == "z" else min(size, len(cohort))
    g_mean, g_spread = _statistics(gallery, cohort, metric, nearest)
    if name == "z":
        return lambda distances, rows, columns: (distances - g_mean[columns]) / g_spread[columns]
    p_mean, p_spread = _statistics(probe, cohort, metric, nearest)

    def both(distances: Float64, rows: slice, columns: Int64) -> Float64:
        by_probe = (distances - p_mean[rows, None]) / p_spread[rows, None]
        return np.asarray((by_probe + (distances - g_mean[columns]) / g_spread[columns]) / 2)

    return both


def _statistics(vectors: Float32, cohort: Float32, metric: str, nearest: int) -> tuple[Float64, Float64]:
    """Mean and standard deviation of each vector's distances to its nearest in the cohort."""
    mean, spread = np.empty(len(vectors)), np.empty(len(vectors))
    for part in row_blocks(len(vectors), len(cohort)):
        distances = pairwise(vectors[part], cohort, metric)
        if nearest < len(cohort):
            distances = np.partition(distances, nearest - 1, axis=1)[:, :nearest]
        mean[part] = distances.mean(axis=1)
        spread[part] = distances.std(axis=1, ddof=1)
    # a cohort of copies has no spread: then only the mean is taken off
    return mean, np.where(spread > 0, spread, 1.0)

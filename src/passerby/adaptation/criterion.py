"""How good an encoder is at a place where nobody is labelled: whether two views of held-out crops cluster alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from passerby.adaptation.agreement import agreement
from passerby.adaptation.place import Place
from passerby.adaptation.pseudo_labels import PseudoLabels, cluster_vectors
from passerby.array_types import Bool, Float32
from passerby.config.adaptation import AdaptationSettings
from passerby.embedding.embeddings import Embeddings
from passerby.models.encoder import Encoder
from passerby.models.image_batches import prepared_batches

NEIGHBORHOOD = 64
"""Units that are held out together."""
SPLITS = 8
"""Ways to halve the dimensions, whose mean counts: a single one moved the index by 0.03 (standard deviation over twelve
random ones, the encoder from MSMT17 on Market-1501), about as much as a late round of training does."""


@dataclass(frozen=True)
class Criterion:
    """Label-free quality of an encoder at a place; larger is better.

    Attributes:
        agreement: adjusted Rand index of two clusterings of the held-out crops, each by another half of the vector's
            dimensions, one of them of the mirror images; the mean over `SPLITS` halvings; -0.5 to 1, 0 is chance.
        broken: share of the cannot-links that its clusters broke; 0 where none are known.
        error: standard error of the agreement over the halvings.
    """

    agreement: float
    broken: float
    error: float = 0.0

    @property
    def score(self) -> float:
        """Agreement - broken."""
        return self.agreement - self.broken


def hold_out(vectors: Float32, share: float, seed: int) -> Bool:
    """Units that never train, [n]: random ones, each with the units nearest to it.

    Whole neighbourhoods, so that most of a person's units are held out together; and not whole clusters, which would
    be those that the encoder to begin with sees best.

    Args:
        vectors: float32 [n, dim], unit rows, of the encoder to begin with.
        share: of the units, 0 to 1.
        seed: chooses them.
    """
    held = np.zeros(len(vectors), np.bool_)
    for row in np.random.default_rng((seed, 1)).permutation(len(vectors)):
        left = round(share * len(vectors)) - int(held.sum())
        if left <= 0:
            break
        near = np.argsort(-(vectors @ vectors[row]), kind="stable")
        held[near[~held[near]][: min(left, NEIGHBORHOOD)]] = True
    return held


def measure_criterion(
    encoder: Encoder,
    place: Place,
    embeddings: Embeddings,
    found: PseudoLabels,
    held: Bool,
    settings: AdaptationSettings,
) -> Criterion:
    """Measure an encoder on the crops of a place that never train.

    Args:
        encoder: who made the vectors.
        place: the crops.
        embeddings: of all crops, raw.
        found: what was clustered with them.
        held: [crops], those that never train; None of them: all are looked at.
        settings: of the clustering.
    """
    rows = np.flatnonzero(held if held.any() else np.ones_like(held))
    crops = place.select(rows)
    mirrored = replace(embeddings.select(rows), vectors=_mirror_vectors(encoder, crops, batch_size=settings.batch_size))
    plain = embeddings.select(rows)
    views = []
    for view in (plain, mirrored):
        units = crops.by_unit(view)
        views.append(units.vectors if found.statistics is None else found.statistics.map(units).vectors)
    links = found.clustering.links
    found_by_halves = _agreements(views, crops, settings)
    return Criterion(
        float(np.mean(found_by_halves)),
        found.clustering.broken / links if links else 0.0,
        float(np.std(found_by_halves, ddof=1) / math.sqrt(SPLITS)),
    )


def _agreements(views: list[Float32], crops: Place, settings: AdaptationSettings) -> list[float]:
    """Agreements of the views' clusterings, the first by one half of the dimensions, the second by the other."""
    found = []
    for split in range(SPLITS):
        order = np.random.default_rng((settings.seed, 2, split)).permutation(views[0].shape[1])
        halves = (np.ascontiguousarray(view[:, order[part::2]]) for part, view in enumerate(views))
        found.append(agreement(*(cluster_vectors(crops, half, settings) for half in halves)))
    return found


def _mirror_vectors(encoder: Encoder, place: Place, *, batch_size: int) -> Float32:
    size = encoder.preprocessing
    paths = [s.path for s in place.samples]
    batches = prepared_batches(paths, size.height, size.width, batch_size, bits=size.bits)
    return np.concatenate([encoder.encode_batch(batch.flip(3)).cpu().numpy() for batch in batches])

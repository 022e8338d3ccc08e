"""How good an encoder is at a place where nobody is labelled: whether two views of held-out crops cluster alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from passerby.adaptation.clustering import Clustering
from passerby.adaptation.place import Place
from passerby.adaptation.pseudo_labels import PseudoLabels, cluster_vectors
from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.config.adaptation import AdaptationSettings
from passerby.embedding.embeddings import Embeddings
from passerby.models.encoder import Encoder
from passerby.models.image_batches import prepared_batches


@dataclass(frozen=True)
class Criterion:
    """Label-free quality of an encoder at a place; larger is better.

    Attributes:
        agreement: adjusted Rand index of two clusterings of the held-out crops, each by another half of the vector's
            dimensions, one of them of the mirror images; -0.5 to 1, 0 is chance.
        broken: share of the cannot-links that its clusters broke; 0 where none are known.
    """

    agreement: float
    broken: float

    @property
    def score(self) -> float:
        """Agreement - broken."""
        return self.agreement - self.broken


def hold_out(clusters: Int64, share: float, seed: int) -> Bool:
    """Crops that never train: whole clusters, and the same share of the outliers, [n].

    Args:
        clusters: int64 [n], -1 outliers.
        share: of the clusters and of the outliers, 0 to 1.
        seed: chooses which.
    """
    rng = np.random.default_rng((seed, 1))
    held = rng.permutation(int(clusters.max(initial=-1)) + 1)
    chosen = np.isin(clusters, held[: round(share * len(held))])
    outliers = rng.permutation(np.flatnonzero(clusters < 0))
    chosen[outliers[: round(share * len(outliers))]] = True
    return np.asarray(chosen)


def agreement(first: Clustering, second: Clustering) -> float:
    """Adjusted Rand index (Hubert, Arabie 1985) of two clusterings; an outlier is a cluster of its own.

    0 where a clustering says nothing: all rows outliers, or all rows in one cluster. (The usual convention of 1 for two
    alike trivial clusterings would reward an encoder that has collapsed.)
    """
    a, b = _alone(first.labels), _alone(second.labels)
    n = len(a)
    joint = np.unique(np.stack([a, b], axis=1), axis=0, return_counts=True)[1]
    together = [_pairs(counts) for counts in (joint, np.bincount(a), np.bincount(b))]
    expected = together[1] * together[2] / (n * (n - 1) / 2) if n > 1 else 0.0
    most = (together[1] + together[2]) / 2
    trivial = min(together[1:]) == 0 or max(together[1:]) == n * (n - 1) / 2
    return 0.0 if trivial or most == expected else float((together[0] - expected) / (most - expected))


def _pairs(counts: Int64) -> float:
    sizes: Float64 = counts.astype(np.float64)
    return float((sizes * (sizes - 1) / 2).sum())


def _alone(labels: Int64) -> Int64:
    out = labels < 0
    numbered = labels.copy()
    numbered[out] = labels.max(initial=-1) + 1 + np.arange(int(out.sum()))
    return np.asarray(numbered)


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
    for part, view in enumerate((plain, mirrored)):
        units = crops.by_unit(view)
        vectors = units.vectors if found.statistics is None else found.statistics.map(units).vectors
        views.append(cluster_vectors(crops, np.ascontiguousarray(vectors[:, part::2]), settings))
    links = found.clustering.links
    return Criterion(agreement(*views), found.clustering.broken / links if links else 0.0)


def _mirror_vectors(encoder: Encoder, place: Place, *, batch_size: int) -> Float32:
    size = encoder.preprocessing
    paths = [s.path for s in place.samples]
    batches = prepared_batches(paths, size.height, size.width, batch_size)
    return np.concatenate([encoder.encode_batch(batch.flip(3)).cpu().numpy() for batch in batches])

"""From vectors of a place to pseudo-labels: camera means off, Jaccard distances, clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.adaptation.clustering import Clustering, cluster
from passerby.adaptation.place import Place
from passerby.array_types import Float32, Int64
from passerby.config.adaptation import AdaptationSettings
from passerby.embedding.camera_statistics import CameraStatistics, measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.search.reranking.jaccard_graph import jaccard_graph


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """What one encoder sees in a place.

    Attributes:
        clustering: of the units.
        statistics: camera statistics of these vectors, counted by clusters; None where no camera is known.
        vectors: float32 [units, dim], without camera means where the statistics are active.
    """

    clustering: Clustering
    statistics: CameraStatistics | None
    vectors: Float32

    def of_crops(self, place: Place) -> Int64:
        """int64 [crops], the cluster of each, -1 for an outlier."""
        return np.asarray(self.clustering.labels[place.units])


def find_pseudo_labels(
    place: Place, embeddings: Embeddings, settings: AdaptationSettings, *, known: Int64 | None = None
) -> PseudoLabels:
    """Cluster a place's crops.

    Args:
        place: what is known of the crops.
        embeddings: of its crops, raw.
        settings: how.
        known: int64 [units], clusters found before, by which the people of each camera are counted; None: those of the
            raw vectors, which are clustered first.
    """
    units = place.by_unit(embeddings)
    if not (units.camids >= 0).any():
        return PseudoLabels(cluster_vectors(place, units.vectors, settings), None, units.vectors)
    if known is None or not (known >= 0).any():
        known = cluster_vectors(place, units.vectors, settings).labels
    if not (known >= 0).any():
        return PseudoLabels(Clustering(known), None, units.vectors)
    statistics = measure_camera_statistics(units, groups=known, minimum=settings.camera_minimum)
    vectors = statistics.map(units).vectors
    return PseudoLabels(cluster_vectors(place, vectors, settings), statistics, vectors)


def cluster_vectors(place: Place, vectors: Float32, settings: AdaptationSettings) -> Clustering:
    """Clusters of a place's units by vectors [units, dim] of any kind."""
    graph = jaccard_graph(vectors, limit=settings.distance, k1=settings.k1, k2=settings.k2)
    min_samples = min(settings.min_samples, 2) if place.has_tracklets else settings.min_samples
    return cluster(graph, min_samples=min_samples, cannot=place.cannot)

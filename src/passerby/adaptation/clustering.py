"""From distances to clusters: DBSCAN, and the links that are known: what is one person, what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Int64
from passerby.errors import MissingExtraError
from passerby.search.reranking.jaccard_graph import JaccardGraph

Pairs = Int64
"""[m, 2], rows that cannot be one person."""


@dataclass(frozen=True)
class Clustering:
    """Which rows are taken for one person.

    Attributes:
        labels: int64 [n], clusters 0.., -1 for an outlier.
        links: cannot-links among the rows.
        broken: those that DBSCAN's clusters broke, before they were split.
    """

    labels: Int64
    links: int = 0
    broken: int = 0

    @property
    def clusters(self) -> int:
        """How many."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def outliers(self) -> int:
        """Rows in no cluster."""
        return int((self.labels < 0).sum())


def cluster(graph: JaccardGraph, *, min_samples: int, cannot: Pairs | None = None) -> Clustering:
    """DBSCAN (Ester, Kriegel, Sander, Xu 1996) within the graph's limit, then clusters split until no link is broken.

    A cluster with a broken cannot-link is built again from its pairs, nearest first (single linkage), without a union
    that would break one; parts smaller than `min_samples` become outliers.

    Args:
        graph: distances of the near pairs.
        min_samples: neighbours, itself included, that make a row a core of a cluster.
        cannot: int64 [m, 2], rows that are different people.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix
        from sklearn.cluster import DBSCAN
    except ImportError:
        raise MissingExtraError("scikit-learn", "adapt", "clustering") from None
    n = len(graph)
    matrix = csr_matrix((graph.distances, graph.columns, graph.starts), shape=(n, n))
    labels = DBSCAN(eps=graph.limit, min_samples=min_samples, metric="precomputed").fit(matrix).labels_.astype(np.int64)
    if cannot is None or not len(cannot):
        return Clustering(_renumbered(labels))
    broken = _broken(labels, cannot)
    for label in np.unique(labels[cannot[broken, 0]]):
        _split(labels, int(label), graph, cannot[broken], min_samples)
    return Clustering(_renumbered(labels), len(cannot), int(broken.sum()))


def _broken(labels: Int64, cannot: Pairs) -> np.ndarray:
    first, second = labels[cannot[:, 0]], labels[cannot[:, 1]]
    return np.asarray((first == second) & (first >= 0))


def _split(labels: Int64, label: int, graph: JaccardGraph, broken: Pairs, min_samples: int) -> None:
    """Replace one label by several, new ones at the end of the numbers."""
    members = np.flatnonzero(labels == label)
    inside = np.isin(broken[:, 0], members)
    parts = _constrained_parts(members, graph, broken[inside])
    labels[members] = -1
    for part in parts:
        if len(part) >= min_samples:
            labels[part] = labels.max() + 1


def _constrained_parts(members: Int64, graph: JaccardGraph, cannot: Pairs) -> list[list[int]]:
    """Single linkage without the unions that a cannot-link forbids."""
    part: dict[int, list[int]] = {int(row): [int(row)] for row in members}
    foes: dict[int, set[int]] = {}
    for a, b in cannot.tolist():
        foes.setdefault(a, set()).add(b)
        foes.setdefault(b, set()).add(a)
    for a, b in _pairs_among(members, graph):
        one, other = part[a], part[b]
        if one is other or any(not foes.get(row, set()).isdisjoint(other) for row in one):
            continue
        one.extend(other)
        for row in other:
            part[row] = one
    unique = {id(rows): rows for rows in part.values()}
    return list(unique.values())


def _pairs_among(members: Int64, graph: JaccardGraph) -> Sequence[tuple[int, int]]:
    """Stored pairs of these rows, nearest first."""
    inside = set(members.tolist())
    found = [
        (float(graph.distances[p]), row, int(graph.columns[p]))
        for row in members.tolist()
        for p in range(graph.starts[row], graph.starts[row + 1])
        if row < graph.columns[p] and int(graph.columns[p]) in inside
    ]
    return [(a, b) for _, a, b in sorted(found)]


def _renumbered(labels: Int64) -> Int64:
    """The same clusters as 0.. in the order of their first rows."""
    result = np.full(len(labels), -1, np.int64)
    used = labels >= 0
    _, first, inverse = np.unique(labels[used], return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    result[used] = place[inverse.reshape(-1)]
    return result

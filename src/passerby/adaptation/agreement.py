"""How alike two clusterings are."""

from __future__ import annotations

import numpy as np

from passerby.adaptation.clustering import Clustering
from passerby.array_types import Float64, Int64


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

"""From the positions of the true matches to numbers: average precision, INP, CMC.

`positions` are 1-based places of the true matches of one query in its ranked list, ascending, r_1 < ... < r_n, with
everything that does not count already removed.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.search.relevant_ranks import Ranks

AP_DEFINITIONS = ("step", "trapezoid")


def average_precision(ranks: Ranks, definition: str) -> Float64:
    """Average precision of each query, NaN where it has no true match; [q].

    step: (1/n) sum_i i / r_i (scikit-learn's, torchreid's and fast-reid's).
    trapezoid: (1/n) sum_i (p_i + i / r_i) / 2 with p_i = (i - 1) / (r_i - 1), 1 where r_i = 1 (Market-1501's Matlab).
    """
    n = ranks.matches
    r = ranks.positions.astype(np.float64)
    i = (np.arange(len(r)) - np.repeat(ranks.offsets[:-1], n) + 1).astype(np.float64)
    precision = i / r
    if definition == "trapezoid":
        before = np.where(r > 1, (i - 1) / np.maximum(r - 1, 1), 1.0)
        precision = 0.5 * (before + precision)
    sums = np.zeros(len(n))
    np.add.at(sums, np.repeat(np.arange(len(n)), n), precision)
    return np.asarray(np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0))


def inverse_negative_penalty(ranks: Ranks) -> Float64:
    """INP = n / r_n of each query (Ye et al. 2021, arXiv:2001.04193), NaN where it has no true match; [q]."""
    last = ranks.last()
    return np.asarray(np.divide(ranks.matches, last, out=np.full(len(last), np.nan), where=last > 0))


def cumulative_matches(first: Int64, max_rank: int) -> Float64:
    """CMC: share of queries whose first true match stands within the first k places, k = 1..max_rank.

    Args:
        first: 1-based places, one for each query that counts; 0 (no match) never hits.
        max_rank: length of the curve.
    """
    hits = np.bincount(np.clip(first, 0, max_rank + 1), minlength=max_rank + 2)[1 : max_rank + 1]
    return np.asarray(np.cumsum(hits) / max(len(first), 1))


def all_shots_matches(ranks: Ranks, used: Int64, max_rank: int) -> Float64:
    """open-reid's "all shots" CMC: match m of n at place k scores 1/n at rank k - (m - 1), as if alone in the gallery.

    Args:
        ranks: of all queries.
        used: queries that count.
        max_rank: length of the curve.
    """
    n = ranks.matches
    owner = np.repeat(np.arange(len(n)), n)
    within = np.arange(len(ranks.positions)) - np.repeat(ranks.offsets[:-1], n)
    place = np.clip(ranks.positions - within, 0, max_rank + 1)
    hits = np.bincount(place, weights=1.0 / n[owner], minlength=max_rank + 2)[1 : max_rank + 1]
    return np.asarray(np.cumsum(hits) / max(len(used), 1))

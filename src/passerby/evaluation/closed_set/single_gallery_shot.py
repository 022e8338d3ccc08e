"""CUHK03's classic rule: one image of each gallery identity, drawn anew for each query.

The rank of a query is 1 + the number of other identities whose drawn image is strictly nearer than the own one. Given
the own image, each other identity c is nearer with probability p_c, its share of nearer images, independently of the
others; the number of nearer ones follows a Poisson-binomial law, and the expected CMC needs no drawing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.numba_jit import compiled
from passerby.search.exact_keys import exact_keys
from passerby.search.relevance import Relevance

_PAIRS = 2**20  # exact keys that are held at once


@dataclass(frozen=True)
class RankLaw:
    """Probability of each rank: law[i, r] that query i has rank r + 1; rows of queries without a match are 0.

    Attributes:
        law: [q, identities].
        kept: gallery images that counted for each query, [q].
        matches: true matches among them, [q].
    """

    law: Float64
    kept: Int64
    matches: Int64


def rank_law(
    query: Float32, gallery: Float32, relevance: Relevance, *, metric: str, repeats: int | None, seed: int
) -> list[RankLaw]:
    """The exact law (repeats=None: a list of one), or one drawn rank for each query in each repeat.

    Distractors (person id 0) are all different people.
    """
    columns = np.flatnonzero(relevance.counted)
    # every distractor gets an identity of its own, below all others
    pids = relevance.gallery_labels[columns]
    identity = np.where(pids == 0, -2 - np.arange(len(pids)), pids)
    order = np.argsort(identity, kind="stable")
    columns, identity = columns[order], identity[order]
    names, starts = np.unique(identity, return_index=True)
    count = len(query)
    laws = [np.zeros((count, len(names))) for _ in range(repeats or 1)]
    kept = np.zeros(count, dtype=np.int64)
    matches = np.zeros(count, dtype=np.int64)
    rng = np.random.default_rng(seed)
    step = max(1, _PAIRS // len(columns))
    ends = np.append(starts[1:], len(columns))
    for top in range(0, count, step):
        rows = np.arange(top, min(top + step, count))
        keys = exact_keys(
            query, gallery, np.repeat(rows, len(columns)), np.tile(columns, len(rows)), metric == "cosine"
        ).reshape(len(rows), len(columns))
        counted = relevance.kept(rows)[:, columns]
        kept[rows] = counted.sum(axis=1)
        keys[~counted] = np.inf
        for row, line in zip(rows, keys, strict=True):
            own = int(np.searchsorted(names, relevance.query_labels[row]))
            if own == len(names) or names[own] != relevance.query_labels[row]:
                continue
            matches[row] = np.isfinite(line[starts[own] : ends[own]]).sum()
            if matches[row] == 0:
                continue
            if repeats is None:
                laws[0][row] = _expected(line, starts, ends, own)
            else:
                for law in laws:
                    law[row, _drawn(line, starts, ends, own, rng.random(len(names)))] = 1.0
    return [RankLaw(law, kept, matches) for law in laws]


@compiled
def _expected(keys: Float64, starts: Int64, ends: Int64, own: int) -> Float64:
    """Probabilities of 0, 1, 2, ... nearer identities; infinite keys are left out."""
    n = len(starts)
    law = np.zeros(n)
    shots = 0
    for j in range(starts[own], ends[own]):
        if not np.isfinite(keys[j]):
            continue
        shots += 1
        part = np.zeros(n)
        part[0] = 1.0
        top = 0
        for c in range(n):
            if c == own:
                continue
            nearer = 0
            images = 0
            for i in range(starts[c], ends[c]):
                if np.isfinite(keys[i]):
                    images += 1
                    nearer += keys[i] < keys[j]
            if nearer == 0:
                continue
            p = nearer / images
            top += 1
            for r in range(top, 0, -1):
                part[r] = part[r] * (1.0 - p) + part[r - 1] * p
            part[0] *= 1.0 - p
        law += part
    return law / shots


@compiled
def _drawn(keys: Float64, starts: Int64, ends: Int64, own: int, chance: Float64) -> int:
    """How many identities are nearer when each shows one image, chosen by a number in 0..1; infinite keys never are."""
    drawn = np.full(len(starts), np.inf)
    for c in range(len(starts)):
        images = 0
        for i in range(starts[c], ends[c]):
            images += np.isfinite(keys[i])
        pick = int(chance[c] * images)
        for i in range(starts[c], ends[c]):
            if np.isfinite(keys[i]):
                if pick == 0:
                    drawn[c] = keys[i]
                    break
                pick -= 1
    return int((drawn < drawn[own]).sum())

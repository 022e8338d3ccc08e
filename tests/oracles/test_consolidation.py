"""Shared neighbours and average linkage against slow, plain versions of their definitions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import people

from passerby.search.jaccard import jaccard_similarity
from passerby.search.linking import Join, join_groups
from passerby.search.nearest_rows import NearestRows


def plain_jaccard(vectors: np.ndarray, k1: int, k2: int) -> np.ndarray:
    """Equations 2 to 5 and 7 to 9 of Zhong et al., one after the other on dense arrays."""
    n = len(vectors)
    squared = ((vectors[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=2)
    order = np.argsort(squared - 9 * np.eye(n), axis=1, kind="stable")

    def reciprocal(i: int, k: int) -> set[int]:
        return {int(j) for j in order[i, : k + 1] if i in order[j, : k + 1]}

    weights = np.zeros((n, n))
    for i in range(n):
        own = reciprocal(i, k1)
        extended = set(own)
        for j in own:
            theirs = reciprocal(j, round(k1 / 2))
            if len(own & theirs) > 2 / 3 * len(theirs):
                extended |= theirs
        for j in extended:
            weights[i, j] = np.exp(-squared[i, j])
    weights /= weights.sum(axis=1, keepdims=True)
    weights = np.stack([weights[order[i, :k2]].mean(axis=0) for i in range(n)])
    both = np.minimum(weights[:, None], weights[None]).sum(axis=2)
    return np.asarray(both / (2 - both))


@pytest.mark.parametrize(("k1", "k2"), [(4, 1), (6, 2), (40, 3)])
def test_the_similarity_is_that_of_its_definition(k1: int, k2: int) -> None:
    vectors = people(6, 5, seed=3, spread=0.2).reshape(30, -1)
    expected = plain_jaccard(vectors, min(k1, 29), k2)
    found = np.eye(30)
    for i, others in enumerate(jaccard_similarity(vectors, k1=k1, k2=k2)):
        for j, similarity in others.items():
            found[i, j] = similarity
    assert found == pytest.approx(expected, abs=1e-5)


def plain_joins(
    similarity: np.ndarray, groups: list[int], apart: set[tuple[int, int]], least: float
) -> list[tuple[int, int]]:
    members = {group: [i for i, g in enumerate(groups) if g == group] for group in groups}
    never = {frozenset(pair) for pair in apart}
    joins: list[Any] = []
    while True:
        best, chosen = least, None
        for one, other in itertools.combinations(sorted(members), 2):
            mean = similarity[np.ix_(members[one], members[other])].mean()
            if mean >= best and frozenset((one, other)) not in never and (chosen is None or mean > best):
                best, chosen = mean, (one, other)
        if chosen is None:
            return joins
        joins.append(chosen)
        one, other = chosen
        members[one] += members.pop(other)
        never = {frozenset(one if g == other else g for g in pair) for pair in never}


@pytest.mark.parametrize("seed", range(5))
def test_the_most_similar_groups_are_joined_first(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n = 24
    similarity = draw.random((n, n)) * (draw.random((n, n)) < 0.4)
    similarity = np.triu(similarity, 1)
    similarity += similarity.T
    groups = draw.integers(0, 14, n).tolist()
    apart = {(0, 5), (2, 9), (3, 4)} & set(itertools.combinations(sorted(set(groups)), 2))
    pairs = [{j: float(row[j]) for j in np.flatnonzero(row).tolist()} for row in similarity]
    joins = join_groups(pairs, groups, apart, least=0.15)
    assert [(join.into, join.other) for join in joins] == plain_joins(similarity, groups, apart, 0.15)
    assert all(isinstance(join, Join) and 0.15 <= join.similarity <= 1 for join in joins)


def test_the_nearest_of_pieces_are_the_nearest_of_all() -> None:
    vectors, probes = people(20, 10, seed=1).reshape(200, -1), people(1, 3, seed=2)[0]
    for top in (1, 7, 500):
        nearest = NearestRows(probes, top)
        for start in range(0, 200, 64):
            ids = np.arange(start, min(start + 64, 200))
            nearest.add(1000 + ids, vectors[ids])
        for probe, (ids, distances) in zip(probes, nearest.results(), strict=True):
            expected = np.linalg.norm(vectors.astype(np.float64) - probe, axis=1)
            order = np.argsort(expected, kind="stable")[:top]
            assert ids.tolist() == (1000 + order).tolist()
            assert distances == pytest.approx(expected[order], abs=1e-6)

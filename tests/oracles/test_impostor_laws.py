"""Impostor distances and their laws against slow loops in float64."""

import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.evaluation.open_set import nearest_identities, screened_search
from passerby.evaluation.open_set.encoder_impostor_laws import fit_held_out_laws, identity_distances
from passerby.evaluation.open_set.impostor_distances import (
    ImpostorDistances,
    calibrating,
    chosen_distances,
    few_of_each,
    impostor_distances,
    pseudo_tracklets,
)
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors, search_nearest_identities

Metric = Literal["euclidean", "cosine"]
METRICS: tuple[Metric, ...] = ("euclidean", "cosine")
World = tuple[int, int, int, int]
"""Seed, rows, people and cameras."""


def rows_of(seed: int, n: int, people: int, cameras: int, dim: int = 3, unknown: bool = True) -> LabelledVectors:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, (n, dim)).astype(np.float32)  # few places, so that there are ties and zero vectors
    return LabelledVectors(vectors, rng.integers(0, people, n), rng.integers(-1 if unknown else 0, cameras, n))


def distance(a: np.ndarray, b: np.ndarray, metric: Metric) -> float:
    x, y = a.astype(np.float64).tolist(), b.astype(np.float64).tolist()
    if metric == "euclidean":
        return math.dist(x, y)
    lengths = math.hypot(*x) * math.hypot(*y)
    return 1 - sum(p * q for p, q in zip(x, y, strict=True)) / lengths if lengths else 1.0


def slow_two(
    probes: LabelledVectors,
    enrolled: LabelledVectors,
    i: int,
    metric: Metric,
    exclude_camera: bool,
    owner: Callable[[int], int] = lambda identity: identity,
) -> list[tuple[float, int]]:
    """[(distance, identity), ...] of the two nearest other identities of probe i."""
    best: dict[int, float] = {}
    for j in range(len(enrolled)):
        other = owner(int(enrolled.identities[j]))
        hidden = exclude_camera and probes.cameras[i] >= 0 and probes.cameras[i] == enrolled.cameras[j]
        if other == owner(int(probes.identities[i])) or hidden:
            continue
        best[other] = min(best.get(other, math.inf), distance(probes.vectors[i], enrolled.vectors[j], metric))
    return sorted((d, identity) for identity, d in best.items())[:2]


def padded(found: list[tuple[float, int]]) -> list[float]:
    return [d for d, _ in found] + [math.inf] * (2 - len(found))


worlds = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=80, deadline=None)
@given(worlds, worlds, st.sampled_from(METRICS), st.booleans())
def test_the_two_nearest_identities_equal_the_slow_loop(
    first: World, second: World, metric: Metric, exclude_camera: bool
) -> None:
    probes, enrolled = rows_of(*first), rows_of(*second)
    found = search_nearest_identities(probes, enrolled, metric=metric, exclude_camera=exclude_camera)
    for i in range(len(probes)):
        slow = slow_two(probes, enrolled, i, metric, exclude_camera)
        np.testing.assert_allclose(found.distances[i], padded(slow), atol=1e-6)
        assert (found.identities[i] >= 0).sum() == len(slow)
    assert (found.depth == 2).all()


@settings(max_examples=80, deadline=None)
@given(worlds, worlds, st.sampled_from(METRICS), st.booleans(), st.booleans())
def test_a_search_that_screens_most_pairs_equals_the_slow_loop(
    first: World, second: World, metric: Metric, exclude_camera: bool, bounded: bool
) -> None:
    probes, enrolled = rows_of(*first), rows_of(*second)
    plain = search_nearest_identities(probes, enrolled, metric=metric, exclude_camera=exclude_camera)
    within = plain.distances[:, 1] if bounded else None
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (nearest_identities, "_MANY", 0),
            (nearest_identities, "_FIRST", 1),
            (screened_search, "_ROWS", 2),
            (screened_search, "_COLUMNS", 3),
        ):
            patch.setattr(module, name, value)
        found = search_nearest_identities(probes, enrolled, metric=metric, exclude_camera=exclude_camera, within=within)
    for i in range(len(probes)):
        slow = slow_two(probes, enrolled, i, metric, exclude_camera)
        np.testing.assert_allclose(found.distances[i], padded(slow), atol=1e-6)
        assert (found.identities[i] >= 0).sum() == len(slow)


def test_a_law_does_not_depend_on_the_order_of_rows() -> None:
    """Near people come in pairs, each the other's impostor: equal distances of people who weigh differently."""
    draw = np.random.default_rng(3)
    for _ in range(20):
        halves = draw.uniform(0.7, 1.2, 40)
        impostors = ImpostorDistances(np.repeat(halves, 2), draw.integers(0, 12, 80), 11)
        wanted = fit_impostor_law(impostors)
        for _ in range(4):
            order = draw.permutation(80)
            other = ImpostorDistances(impostors.distances[order], impostors.identities[order], 11)
            assert fit_impostor_law(other) == wanted


def test_few_rows_of_each_identity_follow_from_its_own_rows_alone() -> None:
    draw = np.random.default_rng(2)
    identities, numbers = draw.integers(0, 20, 300), np.arange(1000, 1300)
    few = few_of_each(identities, numbers, 4)
    assert np.bincount(identities[few]).tolist() == np.minimum(np.bincount(identities), 4).tolist()
    assert few_of_each(identities, numbers, 300).all()
    some = (identities % 3 == 0)[draw.permutation(300)] | (identities == 5)
    order = draw.permutation(np.flatnonzero(some))
    again = set(numbers[order][few_of_each(identities[order], numbers[order], 4)].tolist())
    assert again >= set(numbers[few & (identities == 5)].tolist())
    assert not few_of_each(np.zeros(0, np.int64), np.zeros(0, np.int64), 3).any()


@settings(max_examples=60, deadline=None)
@given(worlds, worlds, worlds, st.lists(st.integers(0, 4), max_size=3), st.booleans())
def test_updates_equal_a_new_search(
    first: World, second: World, third: World, gone: list[int], exclude_camera: bool
) -> None:
    """Enrolled, erased, enrolled again: whatever is called certain is what a new search finds."""
    options: dict[str, Any] = {"metric": "euclidean", "exclude_camera": exclude_camera}
    probes, enrolled, more = rows_of(*first), rows_of(*second), rows_of(*third)
    found = search_nearest_identities(probes, enrolled, **options).without(gone).with_enrolled(probes, more, **options)
    stay = enrolled.select(~np.isin(enrolled.identities, gone))
    now = LabelledVectors(
        *(np.concatenate([getattr(a, n) for a in (stay, more)]) for n in ("vectors", "identities", "cameras"))
    )
    fresh = search_nearest_identities(probes, now, **options)
    for place in range(2):
        certain = found.depth > place
        np.testing.assert_allclose(found.distances[certain, place], fresh.distances[certain, place], atol=1e-6)
    if not gone:
        assert (found.depth == 2).all()
    searched = found.replace(found.stale, fresh.select(found.stale))
    np.testing.assert_allclose(searched.distances[:, 0], fresh.distances[:, 0], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(worlds, st.booleans(), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=2))
def test_impostor_distances_equal_the_slow_loop(
    world: World, exclude_camera: bool, pairs: list[tuple[int, int]]
) -> None:
    rows = rows_of(*world)
    pairs = [(a, b) for a, b in pairs if a != b]
    groups = [{p} for p in range(5)]
    for a, b in pairs:
        one, other = (next(g for g in groups if p in g) for p in (a, b))
        if one is not other:
            groups.remove(other)
            one |= other

    def owner(identity: int) -> int:
        return min(next(g for g in groups if identity in g))

    found = impostor_distances(rows, exclude_camera=exclude_camera, one_person=pairs)
    people = {owner(int(p)) for p in rows.identities}
    assert found.searched == len(people) - 1
    assert found.identities.tolist() == [owner(int(p)) for p in rows.identities]
    for i in range(len(rows)):
        me, camera = owner(int(rows.identities[i])), int(rows.cameras[i])
        seen = {owner(int(p)) for p, c in zip(rows.identities, rows.cameras, strict=True) if not camera == c >= 0}
        narrow = exclude_camera and len(seen - {me}) >= 0.5 * (len(people) - 1)
        slow = slow_two(rows, rows, i, "euclidean", narrow, owner)
        np.testing.assert_allclose(found.distances[i], padded(slow)[0], atol=1e-6)
    if not pairs:
        apart, wide = (search_nearest_identities(rows, rows, exclude_camera=kind) for kind in (True, False))
        kept = chosen_distances(rows, rows, apart if exclude_camera else None, wide)
        np.testing.assert_array_equal(kept.distances, found.distances)
        assert kept.conservative == pytest.approx(found.conservative)


def test_pseudo_tracklets_equal_the_slow_loop() -> None:
    rows = rows_of(5, 60, 6, 3)
    found = pseudo_tracklets(rows, frames=3)
    expected: dict[tuple[int, int], np.ndarray] = {}
    for p, c in itertools.product(range(6), range(-1, 3)):
        mine = rows.vectors[(rows.identities == p) & (rows.cameras == c)].astype(np.float64)
        if len(mine) >= 3 and np.linalg.norm(mine.sum(axis=0)) > 0:
            expected[p, c] = mine.sum(axis=0) / np.linalg.norm(mine.sum(axis=0))
    assert list(zip(found.identities.tolist(), found.cameras.tolist(), strict=True)) == sorted(expected)
    np.testing.assert_allclose(found.vectors, [expected[key] for key in sorted(expected)], atol=1e-6)


def drawn(seed: int, people: int, scale: float = 0.1) -> ImpostorDistances:
    """Impostor distances of people with one to five observations."""
    rng = np.random.default_rng(seed)
    identities = np.repeat(np.arange(people), rng.integers(1, 6, people))
    middle = 1 + scale * rng.gumbel(size=people)[identities]
    return ImpostorDistances(
        np.clip(middle + 0.03 * rng.standard_normal(len(identities)), 0.05, None), identities, people - 1
    )


def slow_p(impostors: ImpostorDistances, d: float) -> float:
    """The fitted p-value at d, for a gallery of one identity more than was searched, by loops."""
    people = sorted(set(impostors.identities.tolist()))
    n = len(people)
    rows = [(float(x), p) for x, p in zip(impostors.distances, impostors.identities, strict=True)]
    weight = {p: 1 / (n * sum(q == p for _, q in rows)) for p in people}

    def power(x: float, k: float) -> float:
        return -math.log(x) if k == 0 else -(x**k - 1) / k

    def skewness(k: float) -> float:
        ys = [(power(x, k), weight[p]) for x, p in rows]
        mean = sum(w * y for y, w in ys)
        second, third = (sum(w * (y - mean) ** i for y, w in ys) for i in (2, 3))
        return float(third / second**1.5)

    grid = [i / 2 for i in range(-8, 9)]
    best = min(grid, key=lambda k: abs(skewness(k) - 1.1395))
    k = 0.5 + (best - 0.5) * n / (n + 15)
    at: list[tuple[float, float]] = []
    ascending, below = sorted(rows), 0.0
    for x, p in ascending:
        at.append((below + weight[p] / 2, x))
        below += weight[p]
    low, high = (power(float(np.interp(q, [c for c, _ in at], [x for _, x in at])), k) for q in (0.1, 0.6))
    gumbel = {q: -math.log(-math.log(1 - q)) for q in (0.1, 0.6)}
    scale = (low - high) / (gumbel[0.1] - gumbel[0.6])
    place = low - scale * gumbel[0.1]
    tail = min(1.0, (1 - math.exp(-math.exp(-(power(d, k) - place) / scale))) * math.exp(8 / n))
    share = sum(weight[p] for x, p in rows if x <= d)
    p = min(1.0, ((n * share - 3) + math.sqrt((n * share - 3) ** 2 + 12 * n * tail)) / (2 * n))
    assert p == pytest.approx(1.0 if p == 1 else (n * p * share + 3 * tail) / (n * p + 3))  # lambda e + (1 - lambda) t
    return float(1 - (1 - p) ** ((impostors.searched + 1) / impostors.searched))


@pytest.mark.parametrize(("seed", "people"), [(0, 12), (1, 60), (2, 200)])
def test_the_fitted_p_value_equals_the_slow_loop(seed: int, people: int) -> None:
    impostors = drawn(seed, people)
    law = fit_impostor_law(impostors)
    assert law.form == "fitted"
    for d in np.quantile(impostors.distances, [0.0, 0.003, 0.02, 0.1, 0.3, 0.6, 0.9]) - 0.004:
        # written down at 96 p-values on a grid of 2,000 distances: between these it is interpolated
        step = (impostors.distances.max() - law.distances[0]) / 1000
        low, high = slow_p(impostors, float(d) - step), slow_p(impostors, float(d) + step)
        assert low * 0.85 <= law.p_value(float(d)) <= high * 1.17


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 30), st.integers(0, 3))
def test_the_guaranteed_p_value_equals_the_slow_loop(seed: int, people: int, digits: int) -> None:
    impostors = drawn(seed, people)
    rounded = ImpostorDistances(np.round(impostors.distances, digits), impostors.identities, impostors.searched)
    law = fit_impostor_law(rounded, guaranteed=True)
    for d in [0.0, *rounded.distances.tolist(), *(rounded.distances + 1e-3).tolist(), 9.0]:
        share = sum(np.mean(rounded.distances[rounded.identities == p] <= d) for p in range(people))
        assert law.p_value(float(d)) == pytest.approx(min((1 + share) / (people + 1), 1))


def test_laws_of_small_galleries_are_the_mean_over_all_of_them() -> None:
    rng = np.random.default_rng(3)
    identities = np.repeat(np.arange(14), 2)
    rows = LabelledVectors(rng.standard_normal((28, 4)).astype(np.float32), identities, np.tile([0, 1], 14))
    distances, _ = identity_distances(rows, exclude_camera=True, metric="euclidean")
    for i, p in itertools.product(range(28), range(14)):
        allowed = [
            j for j in range(28) if identities[j] == p and identities[i] != p and rows.cameras[j] != rows.cameras[i]
        ]
        slow = min((distance(rows.vectors[i], rows.vectors[j], "euclidean") for j in allowed), default=math.inf)
        assert distances[i, p] == pytest.approx(slow, abs=1e-6)
    laws = fit_held_out_laws(rows)
    assert laws is not None
    assert [law.identities for law in laws.laws] == [10, 14]
    small = laws.at(10)
    for d in np.quantile(distances.min(axis=1), [0.5, 0.7, 0.9]):
        rates = []
        for i in range(28):
            others = [p for p in range(14) if p != identities[i]]
            near = sum(distances[i, p] <= d for p in others)
            rates.append(1 - math.comb(13 - near, 10) / math.comb(13, 10))
        if laws.laws[-1].p_value(float(d)) > 0.25:
            assert small.p_value(float(d)) == pytest.approx(np.mean(rates), abs=0.06)


def test_who_calibrates_follows_from_the_numbers_alone() -> None:
    identities = np.random.default_rng(0).permutation(np.repeat(np.arange(300), 2))
    chosen = calibrating(identities, 100)
    assert len(np.unique(identities[chosen])) == 100
    order = np.random.default_rng(1).permutation(len(identities))
    np.testing.assert_array_equal(calibrating(identities[order], 100), chosen[order])
    fewer = identities[identities >= 50]
    kept = set(identities[chosen].tolist())
    assert {p for p in kept if p >= 50} <= set(fewer[calibrating(fewer, 100)].tolist())

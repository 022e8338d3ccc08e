"""Exact search against slow loops written from the definitions, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.search import index as search
from passerby.search.camera_offsets import CameraOffsets
from passerby.search.index import NOBODY, ExactIndex
from passerby.search.score import Score

DIM = 8


def slow_ranking(
    probe: np.ndarray,
    vectors: np.ndarray,
    identities: np.ndarray,
    allowed: np.ndarray,
    score: Score,
) -> dict[int, float]:
    """Distance of every identity by the definition of its score."""
    out = {}
    for identity in sorted(set(identities[allowed].tolist()) - {NOBODY}):
        own = [
            v.astype(np.float64) for v, i, a in zip(vectors, identities, allowed, strict=True) if a and i == identity
        ]
        distances = sorted(sum((x - y) ** 2 for x, y in zip(v, probe, strict=True)) ** 0.5 for v in own)
        if score.name == "min":
            out[identity] = distances[0]
        elif score.name == "mean":
            nearest = distances[: score.k]
            out[identity] = sum(nearest) / len(nearest)
        else:
            mean = sum(own) / len(own)
            out[identity] = float(np.linalg.norm(mean / np.linalg.norm(mean) - probe))
    return out


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ExactIndex, np.ndarray, np.random.Generator]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 2, 63, 64, 65, 200, 700]))
    names = draw(st.integers(1, 40))
    vectors = random.standard_normal((size, DIM))
    if draw(st.booleans()):  # duplicates: ties between observations and between identities
        vectors = vectors[random.integers(0, max(1, size // 3), size)]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    identities = random.integers(1, names + 1, size)
    identities[random.random(size) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = NOBODY
    vectors[identities == NOBODY] = 0
    index = ExactIndex(DIM)
    slots = np.arange(size)
    cameras = random.integers(0, 4, size)
    index.put(slots, random.permutation(size) + 1, identities, cameras, random.random(size))
    index.put_vectors(slots, vectors)
    return index, vectors, random


@pytest.mark.parametrize("block", [128, search.BLOCK])
@pytest.mark.parametrize("score", [Score("min"), Score("mean", 2), Score("mean", 5), Score("centroid")], ids=str)
@given(world=worlds(), top=st.sampled_from([1, 3, 50]), filtered=st.booleans(), many=st.booleans())
@settings(max_examples=25, deadline=None)
def test_search_equals_slow_loops(
    block: int,
    score: Score,
    world: tuple[ExactIndex, np.ndarray, np.random.Generator],
    top: int,
    filtered: bool,
    many: bool,
) -> None:
    index, vectors, random = world
    if block == 128:  # the same vectors in small blocks: several of them, the last one not full
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "BLOCK", 128)
            patch.setattr(search, "_PRODUCT", 1000)  # and the probes in turns
            small = ExactIndex(DIM)
            slots = np.arange(index.size)
            small.put(slots, *(getattr(index, n)[slots] for n in ("ids", "identities", "cameras", "times")))
            small.put_vectors(slots, vectors)
            check(small, vectors, random, score, top, filtered, many)
    else:
        check(index, vectors, random, score, top, filtered, many)


def check(
    index: ExactIndex,
    vectors: np.ndarray,
    random: np.random.Generator,
    score: Score,
    top: int,
    filtered: bool,
    many: bool,
) -> None:
    probes = random.standard_normal((6 if many else 1, DIM))
    probes = (probes / np.linalg.norm(probes, axis=1, keepdims=True)).astype(np.float32)
    identities, cameras = index.identities[: index.size], index.cameras[: index.size]
    alive, times = identities != NOBODY, index.times[: index.size]
    kinds = [cameras != 0, times > 0.3, (cameras != 1) & (times < 0.8), cameras != 2, times > 2]  # the last: nobody
    masks = [kinds[row % 5] & alive if filtered and row != 1 else None for row in range(len(probes))]
    if filtered and many:
        masks[-1] = masks[0]  # one filter for two probes
    rankings = index.search(probes, masks, top=top, score=score)
    for probe, mask, ranking in zip(probes, masks, rankings, strict=True):
        allowed = identities != NOBODY if mask is None else mask
        expected = slow_ranking(probe.astype(np.float64), vectors, identities, allowed, score)
        assert ranking.considered == allowed.sum()
        assert len(ranking.identities) == min(top, len(expected))
        assert len(set(ranking.identities.tolist())) == len(ranking.identities)
        assert np.all(np.diff(ranking.distances) >= 0)
        found = dict(zip(ranking.identities.tolist(), ranking.distances.tolist(), strict=True))
        assert found == pytest.approx({identity: expected[identity] for identity in found}, abs=1e-6)
        nearest = sorted(expected.values())[: len(found)]
        assert list(found.values()) == pytest.approx(nearest, abs=1e-6)
        for identity, slot in zip(ranking.identities, ranking.slots, strict=True):
            own = np.flatnonzero(allowed & (identities == identity))
            distances = np.linalg.norm(vectors[own].astype(np.float64) - probe, axis=1)
            assert slot in own
            assert np.linalg.norm(vectors[slot].astype(np.float64) - probe) == pytest.approx(distances.min(), abs=1e-6)


@pytest.mark.parametrize("score", [Score("mean", 2), Score("centroid")], ids=str)
@given(world=worlds(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_search_follows_changes(
    score: Score, world: tuple[ExactIndex, np.ndarray, np.random.Generator], seed: int
) -> None:
    """What is remembered from one search is right after observations came, went and moved."""
    index, vectors, _ = world
    random = np.random.default_rng(seed)
    for _ in range(3):
        check(index, vectors, random, score, 5, filtered=False, many=False)
        count = int(random.integers(1, 6))
        slots = random.choice(index.size + 3, min(count, index.size), replace=False)
        identities = random.integers(1, 60, len(slots))
        identities[random.random(len(slots)) < 0.3] = NOBODY
        rows = random.standard_normal((len(slots), DIM)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        rows[identities == NOBODY] = 0
        index.put(slots, 1000 + slots, identities, random.integers(0, 4, len(slots)), random.random(len(slots)))
        index.put_vectors(slots, rows)
        vectors = np.concatenate([vectors, np.zeros((index.size - len(vectors), DIM), np.float32)])
        vectors[slots] = rows


def test_equal_vectors_are_at_distance_zero_and_ties_go_by_id() -> None:
    index = ExactIndex(DIM)
    vector = np.full(DIM, DIM**-0.5, np.float32)
    index.put(np.arange(4), np.array([7, 5, 6, 4]), np.array([1, 2, 3, 4]), np.zeros(4, np.int64), np.zeros(4))
    index.put_vectors(np.arange(4), np.tile(vector, (4, 1)))
    (ranking,) = index.search(vector[None], [None], top=3, score=Score())
    assert ranking.distances.tolist() == [0.0, 0.0, 0.0]
    assert ranking.identities.tolist() == [4, 2, 3]


def test_one_identity_with_nearly_all_observations_hides_nobody() -> None:
    random = np.random.default_rng(0)
    vectors = np.zeros((3000, DIM), np.float32)
    vectors[:, 0] = 1
    vectors += 1e-3 * random.standard_normal(vectors.shape).astype(np.float32)
    vectors[-3:] = np.eye(DIM, dtype=np.float32)[1:4]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    identities = np.ones(3000, np.int64)
    identities[-3:] = [2, 3, 4]
    index = ExactIndex(DIM)
    slots = np.arange(3000)
    index.put(slots, slots, identities, np.zeros(3000, np.int64), np.zeros(3000))
    index.put_vectors(slots, vectors)
    for score in (Score("min"), Score("mean", 3)):
        (ranking,) = index.search(np.eye(DIM, dtype=np.float32)[:1], [None], top=4, score=score)
        assert sorted(ranking.identities.tolist()) == [1, 2, 3, 4]


@pytest.mark.parametrize("score", [Score("min"), Score("mean", 2), Score("centroid")], ids=str)
@given(world=worlds(), filtered=st.booleans(), many=st.booleans())
@settings(max_examples=25, deadline=None)
def test_subtracting_camera_offsets_equals_searching_mapped_vectors(
    score: Score, world: tuple[ExactIndex, np.ndarray, np.random.Generator], filtered: bool, many: bool
) -> None:
    index, vectors, random = world
    slots = np.arange(index.size)
    offsets = CameraOffsets(np.array([1, 3]), 0.3 * random.standard_normal((3, DIM)).astype(np.float32))
    row = {1: 0, 3: 1}
    expected = np.zeros_like(vectors)
    for slot in np.flatnonzero(index.identities[slots] != NOBODY):
        moved = vectors[slot] - offsets.offsets[row.get(int(index.cameras[slot]), 2)]
        expected[slot] = moved / np.linalg.norm(moved)
    mapped = ExactIndex(DIM)
    columns = (index.ids[slots], index.identities[slots], index.cameras[slots], index.times[slots])
    mapped.put(slots, *columns)
    mapped.put_vectors(slots, expected)
    probes = random.standard_normal((5 if many else 1, DIM)).astype(np.float32)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    masks = [index.alive() & (random.random(index.size) < 0.5) if filtered else None for _ in probes]
    plain = index.search(probes, masks, top=50, score=score)
    index.subtract(offsets)
    index.search(probes, masks, top=50, score=score)
    if index.size > 1:  # a changed slot is mapped anew
        ids, identities, cameras, times = columns
        index.put(slots[:2], ids[1::-1], identities[1::-1], cameras[1::-1], times[1::-1])
        index.put_vectors(slots[:2], vectors[1::-1].copy())
        index.put(slots[:2], ids[:2], identities[:2], cameras[:2], times[:2])
        index.put_vectors(slots[:2], vectors[:2])
    for one, other in zip(
        index.search(probes, masks, top=50, score=score), mapped.search(probes, masks, top=50, score=score), strict=True
    ):
        assert dict(zip(one.identities.tolist(), one.distances.tolist(), strict=True)) == pytest.approx(
            dict(zip(other.identities.tolist(), other.distances.tolist(), strict=True)), abs=1e-5
        )
        assert one.considered == other.considered
    index.subtract(None)
    again = index.search(probes, masks, top=50, score=score)
    assert [found.distances.tolist() for found in again] == [found.distances.tolist() for found in plain]

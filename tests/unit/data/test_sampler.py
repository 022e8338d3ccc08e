"""What every sampler promises, over drawn worlds: whose images, how many, how often, and the same on any number of
processes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.config import SamplerConfig
from passerby.data.sampling.hard_identity import HardIdentitySampler
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ConfigError, DataError

World = tuple[np.ndarray, np.ndarray, int, int]
"""Labels, cameras, P and K."""
KINDS = ["pk", "camera", "balanced", "hard_identity"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Labels with gaps, in any order, from 1 to 9 images each; cameras; P and K."""
    p = draw(st.sampled_from([1, 2, 4]))
    identities = draw(st.integers(p, 9))
    counts = draw(st.lists(st.integers(1, 9), min_size=identities, max_size=identities))
    names = draw(st.permutations(range(0, 3 * identities, 3)))
    labels = np.repeat(names[:identities], counts)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    cameras = np.array(draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    return labels[order], cameras, p, draw(st.integers(1, 5))


def sampler_of(
    kind: Any, world: World, *, epoch: Any = "chunks", seed: int = 0, rank: int = 0, world_size: int = 1
) -> Any:
    labels, cameras, p, k = world
    config = SamplerConfig(kind=kind, identities=p, images=k, epoch=epoch)
    return make_sampler(config, labels, cameras.tolist(), seed=seed, rank=rank, world_size=world_size)


def searched(kind: Any, world: World, **arguments: Any) -> Any:
    """A sampler that has looked for look-alikes, if it is the kind that does."""
    sampler = sampler_of(kind, world, **arguments)
    if isinstance(sampler, HardIdentitySampler):
        features = np.random.default_rng(5).standard_normal((len(world[0]), 3))
        sampler.update(features, world[0])
    return sampler


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("convention", ["chunks", "identities"])
@given(world=worlds(), epoch=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_batch_is_p_identities_with_k_images_tiled_where_there_are_fewer(
    kind: Any, convention: str, world: World, epoch: Any
) -> None:
    labels, _, p, k = world
    sampler = searched(kind, world, epoch=convention)
    batches = sampler.epoch_batches(epoch)
    assert batches.dtype == np.int64
    assert batches.shape == (sampler.steps(epoch), p * k)
    assert len(batches) >= 1
    for batch in batches:
        groups = batch.reshape(p, k)
        assert len(set(labels[groups[:, 0]])) == p
        for group in groups:
            (label,) = set(labels[group])
            n = int((labels == label).sum())
            appearances = np.unique(group, return_counts=True)[1]
            assert len(appearances) == min(n, k)
            assert set(appearances) <= {k // n, -(-k // n)}


@given(world=worlds(), kind=st.sampled_from(["pk", "camera"]))
@settings(max_examples=30, deadline=None)
def test_chunks_use_no_image_twice_and_stop_only_when_fewer_than_p_identities_are_left(world: World, kind: Any) -> None:
    labels, _, p, k = world
    batches = sampler_of(kind, world).epoch_batches(1)
    used = np.bincount(batches.reshape(-1), minlength=len(labels))
    left = 0
    for label in set(labels):
        own = labels == label
        n = int(own.sum())
        chunks = max(1, n // k)
        drawn = int(used[own].sum()) // k
        assert drawn <= chunks
        left += drawn < chunks
        if n >= k:
            assert used[own].max() <= 1
    assert left < p


@given(world=worlds(), kind=st.sampled_from(["pk", "balanced", "camera"]))
@settings(max_examples=20, deadline=None)
def test_identities_come_once_an_epoch_and_fewer_than_p_are_left_out(world: World, kind: Any) -> None:
    labels, _, p, k = world
    batches = sampler_of(kind, world, epoch="identities").epoch_batches(0)
    drawn = labels[batches.reshape(-1, k)[:, 0]]
    assert len(set(drawn)) == len(drawn) == len(set(labels)) // p * p


def test_balanced_has_its_own_epoch() -> None:
    world = (np.repeat(np.arange(8), 12), np.zeros(96, int), 4, 4)
    assert sampler_of("balanced", world, epoch="chunks").steps(0) == 2
    assert sampler_of("pk", world, epoch="chunks").steps(0) > 2


@given(world=worlds())
@settings(max_examples=30, deadline=None)
def test_camera_spreads_the_images_of_an_identity_as_far_as_they_go(world: World) -> None:
    labels, cameras, _, k = world
    for group in sampler_of("camera", world, epoch="identities").epoch_batches(2).reshape(-1, k):
        own = labels == labels[group[0]]
        assert len(set(cameras[group])) == min(k, len(set(cameras[own])))


def test_camera_spreads_every_chunk() -> None:
    labels = np.repeat([0, 1], 12)
    cameras = np.tile(np.repeat([0, 1, 2, 3], 3), 2)
    groups = sampler_of("camera", (labels, cameras, 2, 4)).epoch_batches(0).reshape(-1, 4)
    assert len(groups) == 6
    for group in groups:
        assert set(cameras[group]) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", [*KINDS, "shuffled"])
@given(world=worlds(), epoch=st.integers(0, 3), seed=st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_processes_together_see_what_one_sees(kind: Any, world: World, epoch: Any, seed: int) -> None:
    p, k = world[2:]
    if kind == "shuffled" and len(world[0]) < p * k:
        return
    whole = searched(kind, world, seed=seed).epoch_batches(epoch)
    for processes in (n for n in (2, 4) if p % n == 0):
        parts = [
            searched(kind, world, seed=seed, rank=rank, world_size=processes).epoch_batches(epoch)
            for rank in range(processes)
        ]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("kind", [*KINDS, "shuffled"])
def test_seed_and_epoch_decide(kind: Any) -> None:
    world = (np.repeat(np.arange(20), 6), np.tile(np.arange(6), 20), 4, 3)
    first = searched(kind, world, seed=3).epoch_batches(7)
    np.testing.assert_array_equal(searched(kind, world, seed=3).epoch_batches(7), first)
    assert not np.array_equal(searched(kind, world, seed=4).epoch_batches(7)[0], first[0])
    assert not np.array_equal(searched(kind, world, seed=3).epoch_batches(8)[0], first[0])


@pytest.mark.parametrize("kind", ["pk", "camera", "balanced"])
def test_every_image_has_its_turn(kind: Any) -> None:
    world = (np.repeat(np.arange(6), 7), np.tile(np.arange(7), 6), 3, 2)
    sampler = sampler_of(kind, world)
    seen = np.zeros(42, int)
    for epoch in range(60):
        seen += np.bincount(sampler.epoch_batches(epoch).reshape(-1), minlength=42)
    assert seen.min() > 0.4 * seen.mean()
    assert seen.max() < 1.8 * seen.mean()


def test_shuffled_takes_each_image_once() -> None:
    sampler = make_sampler(SamplerConfig(kind="shuffled", identities=4, images=2), np.zeros(21, int), seed=0)
    batches = sampler.epoch_batches(0)
    assert batches.shape == (2, 8)
    assert len(set(batches.reshape(-1).tolist())) == 16


REFUSALS = [
    ({"identities": 4}, 3, 1, DataError, r"3 identities, fewer than the 4.*sampler.identities to 3"),
    ({"identities": 3}, 9, 2, ConfigError, r"is 3, which 2 processes.*multiple of 2"),
    ({"kind": "hard_identity", "identities": 4, "candidates": 2}, 9, 1, ConfigError, r"candidates is 2.*at least 3"),
    ({"kind": "camera", "identities": 2}, 9, 1, DataError, r"needs camera ids.*kind = \"pk\""),
    ({"kind": "shuffled", "identities": 16}, 9, 1, DataError, r"18 training images are fewer than one batch of 64"),
    ({"identities": 1}, 0, 1, DataError, r"no training images"),
]


@pytest.mark.parametrize(("settings_", "identities", "processes", "error", "message"), REFUSALS)
def test_refusals_say_what_to_do(
    settings_: dict[str, Any], identities: int, processes: int, error: type[Exception], message: str
) -> None:
    labels = np.repeat(np.arange(identities), 2)
    with pytest.raises(error, match=message):
        make_sampler(SamplerConfig(**settings_), labels, [-1] * len(labels), seed=0, world_size=processes)

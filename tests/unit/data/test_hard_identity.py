"""Global hard identity search: the lists, against slow loops, and the batches that come of them."""

from typing import Any

import numpy as np
import pytest
import torch

from passerby.config import SamplerConfig
from passerby.data.sampling import hard_identity
from passerby.data.sampling.hard_identity import HardIdentitySampler
from passerby.data.sampling.identity_groups import IdentityGroups
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import DataError, EmbeddingError

RNG = np.random.default_rng(3)
COUNTS = RNG.integers(1, 6, 12)
LABELS = RNG.permutation(np.repeat(10 * np.arange(12), COUNTS))
CAMERAS = RNG.integers(0, 3, len(LABELS))
FEATURES = RNG.standard_normal((len(LABELS), 5))


def slow_distance(a: int, b: int, linkage: str) -> float:
    x, y = FEATURES[a == LABELS], FEATURES[b == LABELS]
    if linkage == "mean":
        return float(np.linalg.norm(x.mean(0) - y.mean(0)))
    pairs = [float(np.linalg.norm(u - v)) for u in x for v in y]
    return min(pairs) if linkage == "min" else sum(pairs) / len(pairs)


def sampler(**settings: Any) -> HardIdentitySampler:
    values = {"kind": "hard_identity", "identities": 4, "images": 2, **settings}
    made = make_sampler(SamplerConfig.model_validate(values), LABELS, CAMERAS.tolist(), seed=1)
    assert isinstance(made, HardIdentitySampler)
    return made


@pytest.mark.parametrize("linkage", ["mean", "min", "average"])
@pytest.mark.parametrize("block", [1, 200, 2**24])
def test_lists_are_the_nearest_identities(linkage: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_identity, "_BLOCK", block)
    s = sampler(linkage=linkage, candidates=5)
    s.update(FEATURES, LABELS)
    for label, found in s.look_alikes.items():
        slow = sorted((slow_distance(label, other, linkage), other) for other in set(LABELS.tolist()) - {label})[:5]
        assert [other for other, _ in found] == [other for _, other in slow]
        np.testing.assert_allclose([d for _, d in found], [d for d, _ in slow], rtol=2e-5)


def test_a_batch_is_an_anchor_and_identities_of_its_list() -> None:
    s = sampler(candidates=3, epoch="identities")  # P - 1: the hardest batches there are
    s.update(FEATURES, LABELS)
    anchors = []
    for epoch in range(4, 8):  # three batches each: the second round of the twelve
        for batch in s.epoch_batches(epoch):
            anchor, *others = LABELS[batch.reshape(4, 2)[:, 0]]
            anchors.append(anchor)
            assert set(others) == {other for other, _ in s.look_alikes[anchor]}
    assert sorted(anchors) == sorted(set(LABELS))


def test_lists_are_as_long_as_asked_or_four_times_p_minus_one() -> None:
    small, usual = (
        sampler(candidates=3),
        sampler(identities=2, images=2),
    )
    for s, length in ((small, 3), (usual, 4)):
        s.update(FEATURES, LABELS)
        assert {len(found) for found in s.look_alikes.values()} == {length}


def test_before_the_first_search_batches_are_plain_and_an_epoch_keeps_its_length() -> None:
    s = sampler()
    plain = make_sampler(SamplerConfig(identities=4, images=2), LABELS, CAMERAS.tolist(), seed=1)
    assert s.look_alikes == {}
    assert s.closest_pairs() == []
    np.testing.assert_array_equal(s.epoch_batches(0), plain.epoch_batches(0))
    s.update(FEATURES, LABELS)
    assert s.epoch_batches(1).shape == plain.epoch_batches(1).shape


def test_searches_are_due_after_every_r_epochs() -> None:
    s = sampler(refresh_epochs=3)
    due = []
    for epoch in range(8):
        if s.needs_search(epoch):
            due.append(epoch)
            s.update(FEATURES, LABELS)
    assert due == [3, 6]


def test_state_goes_on_as_if_never_stopped() -> None:
    s = sampler()
    s.update(FEATURES, LABELS)
    state = s.state_dict()
    assert all(isinstance(v, (int, torch.Tensor)) for v in state.values())
    again = sampler()
    again.load_state_dict(state)
    np.testing.assert_array_equal(again.epoch_batches(4), s.epoch_batches(4))
    assert again.look_alikes == s.look_alikes
    assert not again.needs_search(1)
    again.load_state_dict(sampler().state_dict())
    assert again.look_alikes == {}


def test_one_person_under_two_labels_comes_first_among_the_closest_pairs() -> None:
    features = FEATURES.copy()
    mean = features[LABELS == 30].mean(0)
    features[LABELS == 70] += mean - features[LABELS == 70].mean(0) + 1e-4
    s = sampler()
    s.update(features, LABELS)
    twins = s.closest_pairs(3)[0]
    assert (twins.label, twins.other) == (30, 70)
    assert twins.distance < 1e-2
    assert twins.cameras == tuple(sorted(set(CAMERAS[LABELS == 30].tolist())))
    assert twins.other_cameras == tuple(sorted(set(CAMERAS[LABELS == 70].tolist())))
    assert len({(t.label, t.other) for t in s.closest_pairs(200)}) == len(s.closest_pairs(200))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (FEATURES[:-1], LABELS[:-1], "training images in their order"),
        (FEATURES, np.roll(LABELS, 1), "labels that differ"),
        (np.full_like(FEATURES, np.nan), LABELS, "not finite"),
    ],
)
def test_features_of_other_images_are_refused(features: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(EmbeddingError, match=message):
        sampler().update(features, labels)


def test_state_of_another_training_set_is_refused() -> None:
    s = sampler()
    s.update(FEATURES, LABELS)
    fewer = make_sampler(
        SamplerConfig(kind="hard_identity", identities=2, images=2), np.repeat([1, 2, 3], 2), None, seed=0
    )
    with pytest.raises(DataError, match="for 12 identities; the training set has 3"):
        fewer.load_state_dict(s.state_dict())


def test_average_linkage_counts_every_pair_once() -> None:
    groups = IdentityGroups([0, 0, 1, 1, 2])
    lists, distances = hard_identity.nearest_identities(
        np.array([[0.0], [2.0], [10.0], [14.0], [5.0]], np.float32), groups, 2, "average"
    )
    assert lists.tolist() == [[2, 1], [2, 0], [0, 1]]
    np.testing.assert_allclose(distances, [[4.0, 11.0], [7.0, 11.0], [4.0, 7.0]])

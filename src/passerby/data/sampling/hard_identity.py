"""Global hard identity search (GHIS): similar people form a batch.

Named by Zhang, Zhong, Ma, Xie, Pu 2019, arXiv:1812.06576, whose exact algorithm is not public. What is done here:

1. every R epochs the training set is embedded in evaluation mode and `update` is called;
2. the distance of two identities is the Euclidean distance of their mean features (or of their nearest pair of
   images, or the mean over all pairs);
3. each identity keeps a list of its M nearest other identities;
4. the identities become anchors in random order; a batch is an anchor and P - 1 identities drawn without repetition
   from its list, K images each.

An epoch has as many batches as the P x K epoch of the same convention, so that schedules stay comparable. Before the
first search batches are plain P x K. One person under two labels stays a "hard identity" for ever, so the lists can
be looked at: `HardIdentitySampler.look_alikes`, and with pictures `passerby data look-alikes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from passerby.array_types import Float32, Int64
from passerby.config import SamplerConfig
from passerby.data.sampling.identity_groups import WHOLE, IdentityGroups, Share
from passerby.data.sampling.pk import PKSampler
from passerby.errors import ConfigError, DataError, EmbeddingError

Linkage = Literal["mean", "min", "average"]
_BLOCK = 2**24  # distances computed at a time (64 MiB of float32)


@dataclass(frozen=True)
class LookAlikePair:
    """Two identities that look alike: very hard negatives, or one person under two labels.

    Attributes:
        label: one identity.
        other: the other one.
        distance: between them, under the sampler's linkage.
        cameras: cameras that saw the one (empty if unknown).
        other_cameras: cameras that saw the other.
    """

    label: int
    other: int
    distance: float
    cameras: tuple[int, ...]
    other_cameras: tuple[int, ...]


class HardIdentitySampler:
    """P x K batches of similar people; see the top of this file.

    Args:
        groups: the training images.
        config: P, K, epoch convention, `refresh_epochs`, `linkage`, `candidates`.
        seed: the run's seed.
        share: this process's part of each batch.

    Raises:
        ConfigError: `candidates` is positive and less than P - 1.
    """

    def __init__(self, groups: IdentityGroups, config: SamplerConfig, *, seed: int = 0, share: Share = WHOLE) -> None:
        p = config.identities
        if 0 < config.candidates < p - 1:
            raise ConfigError(
                f"sampler.candidates is {config.candidates}, and a batch of {p} identities draws {p - 1} of them: "
                f"set at least {p - 1}, or 0 for {4 * (p - 1)}"
            )
        self.groups = groups
        self.p, self.k = p, config.images
        self.linkage: Linkage = config.linkage
        self.refresh_epochs = config.refresh_epochs
        self.candidates = min(config.candidates or 4 * (p - 1), len(groups) - 1)
        self.seed = seed
        self.share = share
        self._plain = PKSampler(groups, p, self.k, epoch=config.epoch, seed=seed, share=share)
        self._searches = 0
        self._lists: Int64 | None = None
        self._distances: Float32 | None = None

    def needs_search(self, epoch: int) -> bool:
        """Whether `update` is due before this epoch: after every `refresh_epochs` epochs."""
        return epoch // self.refresh_epochs > self._searches

    def update(self, features: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Search look-alikes with the current model's features of all training images.

        Args:
            features: [n, D] float, in the order of the training images; unit length if the loss normalises.
            labels: their identities, [n]; checked against the sampler's.

        Raises:
            EmbeddingError: features of other images, or not finite.
        """
        vectors = np.asarray(features, dtype=np.float32)
        if len(vectors) != self.groups.images or not np.array_equal(
            np.asarray(labels, dtype=np.int64), self.groups.names[self.groups.of_image]
        ):
            raise EmbeddingError(
                f"the search needs the features of the {self.groups.images} training images in their order; "
                f"found {len(vectors)} features, or labels that differ"
            )
        if not np.isfinite(vectors).all():
            raise EmbeddingError("the features of the training images are not finite: training has diverged")
        self._lists, self._distances = nearest_identities(vectors, self.groups, self.candidates, self.linkage)
        self._searches += 1

    def epoch_batches(self, epoch: int) -> Int64:
        """Image indices of this process, int64 [steps, local batch]."""
        if self._lists is None:
            return self._plain.epoch_batches(epoch)
        steps = self.steps(epoch)
        rng = np.random.default_rng((self.seed, epoch, self._searches))
        anchors = self._anchors(epoch * (self._plain.chunks // self.p), steps)
        lists = self._lists[anchors]
        chosen = np.argsort(rng.random(lists.shape), axis=1)[:, : self.p - 1]
        plan = np.concatenate([anchors[:, None], np.take_along_axis(lists, chosen, axis=1)], axis=1)
        return self.share.take(self.groups.draw(plan, self.groups.shuffled(rng), self.k))

    def _anchors(self, start: int, steps: int) -> Int64:
        """Part of one random permutation of the identities after another: epochs go on where the last one stopped."""
        c = len(self.groups)
        rounds = range(start // c, (start + steps - 1) // c + 1)
        order = [np.random.default_rng((self.seed, 1, r)).permutation(c) for r in rounds]
        return np.concatenate(order)[start % c :][:steps]

    def steps(self, epoch: int) -> int:
        """Batches in the epoch: as many as plain P x K has."""
        return self._plain.steps(epoch)

    @property
    def look_alikes(self) -> dict[int, list[tuple[int, float]]]:
        """For each identity (by label) its look-alikes and their distances, nearest first; empty before a search."""
        if self._lists is None or self._distances is None:
            return {}
        names = self.groups.names
        return {
            int(name): [(int(names[j]), float(d)) for j, d in zip(row, distances, strict=True)]
            for name, row, distances in zip(names, self._lists, self._distances, strict=True)
        }

    def closest_pairs(self, n: int = 20) -> list[LookAlikePair]:
        """The `n` pairs of identities that look most alike, with their cameras: where label errors show up."""
        if self._lists is None or self._distances is None:
            return []
        return closest_pairs(self.groups, self._lists, self._distances, n)

    def state_dict(self) -> dict[str, Any]:
        """The lists (tensors, or None before the first search) and how many searches made them."""
        return {
            "searches": self._searches,
            "lists": None if self._lists is None else torch.from_numpy(self._lists.copy()),
            "distances": None if self._distances is None else torch.from_numpy(self._distances.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`.

        Raises:
            DataError: the lists were made for another number of identities.
        """
        lists = state["lists"]
        if lists is not None and len(lists) != len(self.groups):
            raise DataError(
                f"the checkpoint's look-alikes are for {len(lists)} identities; the training set has {len(self.groups)}"
            )
        self._searches = int(state["searches"])
        self._lists = None if lists is None else lists.cpu().numpy().copy()
        self._distances = None if lists is None else state["distances"].cpu().numpy().copy()


def nearest_identities(vectors: Float32, groups: IdentityGroups, m: int, linkage: Linkage) -> tuple[Int64, Float32]:
    """The `m` nearest other identities of each identity, nearest first.

    Args:
        vectors: features [n, D].
        groups: which image is whose.
        m: length of the lists.
        linkage: "mean": distance of the mean features; "min": of the nearest two images; "average": mean over all
            pairs of images.

    Returns:
        (identity positions [C, m], distances [C, m]).
    """
    c = len(groups)
    order = np.argsort(groups.of_image, kind="stable")
    points: Float32 = vectors[order]
    starts = groups.starts
    if linkage == "mean":
        points = (np.add.reduceat(points, starts, axis=0) / groups.counts[:, None]).astype(np.float32)
        starts = np.arange(c)
    ends = np.append(starts[1:], len(points))
    lists = np.empty((c, m), np.int64)
    distances = np.empty((c, m), np.float32)
    for first, last in _blocks(ends, len(points)):
        block = _euclidean(points[starts[first] : ends[last - 1]], points)
        if linkage != "mean":
            block = _link(block, starts, starts[first:last] - starts[first], linkage)
        block[np.arange(last - first), np.arange(first, last)] = np.inf
        near = np.argpartition(block, m - 1, axis=1)[:, :m]
        values = np.take_along_axis(block, near, axis=1)
        rank = np.lexsort((near, values), axis=1)
        lists[first:last] = np.take_along_axis(near, rank, axis=1)
        distances[first:last] = np.take_along_axis(values, rank, axis=1)
    return lists, distances


def closest_pairs(groups: IdentityGroups, lists: Int64, distances: Float32, n: int) -> list[LookAlikePair]:
    """The `n` closest pairs among what `nearest_identities` found, nearest first, each pair once."""
    order = np.argsort(distances, axis=None, kind="stable")
    rows, columns = np.unravel_index(order, distances.shape)
    pairs: dict[tuple[int, int], LookAlikePair] = {}
    for i, c in zip(rows.tolist(), columns.tolist(), strict=True):
        a, b = sorted((i, int(lists[i, c])))
        if (a, b) not in pairs:
            label, other = int(groups.names[a]), int(groups.names[b])
            cameras, others = _cameras(groups, a), _cameras(groups, b)
            pairs[a, b] = LookAlikePair(label, other, float(distances[i, c]), cameras, others)
        if len(pairs) == n:
            break
    return list(pairs.values())


def _cameras(groups: IdentityGroups, identity: int) -> tuple[int, ...]:
    """Cameras that saw an identity; empty where they are not known."""
    if groups.camids is None:
        return ()
    return tuple(sorted({int(c) for c in groups.camids[groups.of_image == identity] if c >= 0}))


def _blocks(ends: Int64, columns: int) -> list[tuple[int, int]]:
    """Runs of identities whose rows of the distance matrix fit the bound (one identity always does)."""
    rows = max(1, _BLOCK // columns)
    blocks: list[tuple[int, int]] = []
    first = 0
    while first < len(ends):
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + rows, side="right")))
        blocks.append((first, last))
        first = last
    return blocks


def _euclidean(a: Float32, b: Float32) -> Float32:
    square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :]
    square -= 2.0 * (a @ b.T)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)), np.float32)


def _link(pairs: Float32, columns: Int64, rows: Int64, linkage: Linkage) -> Float32:
    """Distances of images [a, n] -> distances of identities [A, C]."""
    if linkage == "min":
        nearest: Float32 = np.minimum.reduceat(np.minimum.reduceat(pairs, columns, axis=1), rows, axis=0)
        return nearest
    total = np.add.reduceat(np.add.reduceat(pairs, columns, axis=1), rows, axis=0)
    width = np.diff(np.append(columns, pairs.shape[1]))
    height = np.diff(np.append(rows, pairs.shape[0]))
    return np.asarray(total / (height[:, None] * width[None, :]), np.float32)

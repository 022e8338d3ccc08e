"""Images grouped by identity: which K images stand for an identity each time it is drawn.

Everything here is vectorised over the whole training set, because an epoch of a million images is drawn at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64
from passerby.errors import ConfigError, DataError


@dataclass(frozen=True)
class Share:
    """The part of each global batch that one of several processes trains on.

    Attributes:
        rank: this process.
        world_size: how many processes.
    """

    rank: int = 0
    world_size: int = 1

    def check(self, size: int, what: str) -> None:
        """Refuse a size that cannot be split equally (ConfigError).

        Raises:
            ConfigError: the processes cannot share a batch equally.
        """
        if size % self.world_size:
            raise ConfigError(
                f"{what} is {size}, which {self.world_size} processes cannot share equally: "
                f"choose a multiple of {self.world_size}"
            )

    def take(self, batches: Int64) -> Int64:
        """Columns of this process, [steps, B] -> [steps, B / world_size]."""
        size = batches.shape[1] // self.world_size
        return np.ascontiguousarray(batches[:, self.rank * size : (self.rank + 1) * size])


WHOLE = Share()


class IdentityGroups:
    """The images of each identity, in an order that is shuffled anew for every epoch.

    Args:
        labels: identity of each image, any integers, [n].
        camids: camera of each image, [n]; needed only to spread an identity's images over cameras.

    Raises:
        DataError: no images, or labels and cameras of different lengths.
    """

    def __init__(self, labels: Sequence[int] | npt.NDArray[np.integer], camids: Sequence[int] | None = None) -> None:
        values = np.asarray(labels, dtype=np.int64).reshape(-1)
        if len(values) == 0:
            raise DataError("there are no training images to make batches of")
        self.names, self.of_image, self.counts = np.unique(values, return_inverse=True, return_counts=True)
        self.starts: Int64 = np.cumsum(self.counts) - self.counts
        self.camids: Int64 | None = None
        if camids is not None:
            self.camids = np.asarray(camids, dtype=np.int64).reshape(-1)
            if len(self.camids) != len(values):
                raise DataError(f"{len(values)} labels and {len(self.camids)} camera ids: one of each per image")

    def __len__(self) -> int:
        """How many identities."""
        return len(self.names)

    @property
    def images(self) -> int:
        """How many images."""
        return len(self.of_image)

    def shuffled(self, rng: np.random.Generator) -> Int64:
        """Image indices [n]: identity after identity (see `starts`), in random order within each."""
        return _order_by(self.of_image, rng)

    def spread_over_cameras(self, rng: np.random.Generator, k: int, *, all_runs: bool) -> Int64:
        """As `shuffled`, but a run of `k` consecutive images of an identity holds as many cameras as it can.

        An identity's images take turns by camera, so that its first run shows min(k, its cameras) cameras. With
        `all_runs` the images of all whole runs are then dealt out camera by camera: a camera with at least as many
        images as there are runs appears in each of them, and one with fewer in as many as it can.

        Raises:
            DataError: images without a camera.
        """
        if self.camids is None:
            raise DataError("spreading images over cameras needs a camera id for each image")
        cameras = np.unique(self.camids, return_inverse=True)[1]
        pair = self.of_image * (cameras.max() + 1) + cameras
        by_pair = _order_by(pair, rng)
        # turn: 0 for one image of each camera of an identity, 1 for the next one of each, ...
        turn = np.empty(self.images, np.int64)
        turn[by_pair] = _count_within(pair[by_pair])
        order = _order_by(self.of_image * (turn.max() + 1) + turn, rng)
        return self._deal(order, cameras, k) if all_runs else order

    def _deal(self, order: Int64, cameras: Int64, k: int) -> Int64:
        identity = self.of_image[order]
        place = np.arange(self.images) - self.starts[identity]
        runs = self.counts[identity] // k
        kept = place < runs * k
        chosen = np.flatnonzero(kept)
        # sort the kept images of an identity by camera, then deal them out: the i-th goes to run i % runs
        by_camera = chosen[np.lexsort((place[chosen], cameras[order[chosen]], identity[chosen]))]
        nth = _count_within(identity[by_camera])
        target = self.starts[identity[by_camera]] + (nth % runs[by_camera]) * k + nth // runs[by_camera]
        dealt = order.copy()
        dealt[target] = order[by_camera]
        return dealt

    def draw(self, identities: Int64, order: Int64, k: int) -> Int64:
        """The `k` images that stand for each drawn identity.

        The first time an identity is drawn it gets its first `k` images in `order`, then the next `k`, and so on
        around. An identity with n < k images is tiled: each image appears floor(k/n) or ceil(k/n) times.

        Args:
            identities: positions in `names`, [steps, P].
            order: from `shuffled` or `spread_over_cameras`.
            k: images an identity.

        Returns:
            Image indices [steps, P * k].
        """
        flat = identities.reshape(-1)
        by_identity = np.argsort(flat, kind="stable")
        nth = np.empty(len(flat), np.int64)
        nth[by_identity] = _count_within(flat[by_identity])
        place = (nth * k)[:, None] + np.arange(k)
        place %= self.counts[flat][:, None]
        place += self.starts[flat][:, None]
        drawn: Int64 = order[place].reshape(len(identities), -1)
        return drawn


def check_identities(groups: IdentityGroups, p: int, share: Share) -> None:
    """Refuse a batch of more identities than there are, or one that the processes cannot share equally.

    Raises:
        DataError: fewer identities than P.
        ConfigError: P is no multiple of the number of processes.
    """
    share.check(p, "sampler.identities")
    if len(groups) < p:
        raise DataError(
            f"the training set has {len(groups)} identities, fewer than the {p} of a batch: "
            f"set sampler.identities to {len(groups)} or less, or add people"
        )


def _order_by(group: Int64, rng: np.random.Generator) -> Int64:
    """Indices sorted by group, in random order within a group.

    A random permutation breaks the ties. Sorting one packed integer costs a fraction of an indirect sort.
    """
    permutation = rng.permutation(len(group))
    bits = max(1, int(len(group) - 1).bit_length())
    key = group[permutation] << bits
    key |= np.arange(len(group))
    key.sort()
    key &= (1 << bits) - 1
    order: Int64 = permutation[key]
    return order


def _count_within(sorted_groups: Int64) -> Int64:
    """0, 1, 2, ... within each run of equal values."""
    n = len(sorted_groups)
    first = np.ones(n, bool)
    first[1:] = sorted_groups[1:] != sorted_groups[:-1]
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, n))
    return np.arange(n) - np.repeat(starts, lengths)

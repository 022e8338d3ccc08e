"""P x K batches and plain shuffled ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64
from passerby.data.sampling.identity_groups import WHOLE, IdentityGroups, Share
from passerby.errors import DataError
from passerby.numba_jit import compiled


class PKSampler:
    """P identities, K images each (the batches of triplet losses).

    `epoch="identities"`: every identity once, in random order, the last incomplete batch dropped (Hermans et al.
    2017; SphereReID's balanced sampling). `epoch="chunks"`: every identity's images are cut into chunks of K, and
    P identities with chunks left are drawn until fewer than P identities have any (strong baseline, torchreid);
    images that fill no chunk wait for another epoch. An identity with fewer than K images is tiled.

    Args:
        groups: the training images.
        p: identities in a batch.
        k: images of each.
        epoch: the convention, as above.
        cameras: spread an identity's K images over its cameras.
        seed: the run's seed.
        share: this process's part of each batch.
    """

    def __init__(
        self,
        groups: IdentityGroups,
        p: int,
        k: int,
        *,
        epoch: Literal["chunks", "identities"] = "chunks",
        cameras: bool = False,
        seed: int = 0,
        share: Share = WHOLE,
    ) -> None:
        self.groups = groups
        self.p, self.k = p, k
        self.convention = epoch
        self.cameras = cameras
        self.seed = seed
        self.share = share
        self._steps: dict[int, int] = {}

    def epoch_batches(self, epoch: int) -> Int64:
        """Image indices of this process, int64 [steps, local batch]: identity after identity, K images each."""
        rng = np.random.default_rng((self.seed, epoch))
        plan = self._identities(rng)
        self._steps[epoch] = len(plan)
        if self.cameras:
            order = self.groups.spread_over_cameras(rng, self.k, all_runs=self.convention == "chunks")
        else:
            order = self.groups.shuffled(rng)
        return self.share.take(self.groups.draw(plan, order, self.k))

    def steps(self, epoch: int) -> int:
        """Batches in the epoch."""
        if epoch not in self._steps:
            self._steps[epoch] = len(self._identities(np.random.default_rng((self.seed, epoch))))
        return self._steps[epoch]

    def _identities(self, rng: np.random.Generator) -> Int64:
        if self.convention == "identities":
            steps = len(self.groups) // self.p
            return rng.permutation(len(self.groups))[: steps * self.p].reshape(steps, self.p)
        return draw_chunks(self._chunks_of_each(), self.p, rng)

    def _chunks_of_each(self) -> Int64:
        return np.maximum(self.groups.counts // self.k, 1)

    @property
    def chunks(self) -> int:
        """Identity draws that an epoch is made from, of which the last few may be left over."""
        return len(self.groups) if self.convention == "identities" else int(self._chunks_of_each().sum())

    def state_dict(self) -> dict[str, Any]:
        """Nothing: batches follow from seed and epoch."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""


class ShuffledSampler:
    """Every image once in random order, in batches of `batch_size`; the last incomplete batch is dropped.

    Raises:
        DataError: fewer images than one batch.
        ConfigError: the batch cannot be divided by the number of processes.
    """

    def __init__(self, images: int, batch_size: int, *, seed: int = 0, share: Share = WHOLE) -> None:
        if images < batch_size:
            raise DataError(
                f"{images} training images are fewer than one batch of {batch_size}: lower sampler.identities or images"
            )
        share.check(batch_size, "a batch of sampler.identities x sampler.images")
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.share = share

    def epoch_batches(self, epoch: int) -> Int64:
        """Image indices of this process, int64 [steps, local batch]."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.images)
        steps = self.steps(epoch)
        return self.share.take(order[: steps * self.batch_size].reshape(steps, self.batch_size))

    def steps(self, epoch: int) -> int:
        """Batches in the epoch."""
        return self.images // self.batch_size

    def state_dict(self) -> dict[str, Any]:
        """Nothing: batches follow from seed and epoch."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""


def draw_chunks(chunks: npt.NDArray[np.int64], p: int, rng: np.random.Generator) -> Int64:
    """Draw `p` different identities at a time until fewer than `p` have chunks left: [steps, p]."""
    return _draw_chunks(chunks.copy(), p, rng.random(int(chunks.sum()) // p * p))


@compiled
def _draw_chunks(left: Int64, p: int, uniform: npt.NDArray[np.float64]) -> Int64:
    """`left` is used up; `uniform` [steps * p] in [0, 1) decides every draw."""
    alive = len(left)
    pool = np.arange(alive)
    drawn = np.empty(len(uniform), np.int64)
    n = 0
    while alive >= p:
        for place in range(p):  # the first p of a Fisher-Yates shuffle
            other = place + int(uniform[n + place] * (alive - place))
            pool[place], pool[other] = pool[other], pool[place]
            drawn[n + place] = pool[place]
            left[pool[place]] -= 1
        n += p
        for place in range(p - 1, -1, -1):
            if left[pool[place]] == 0:
                alive -= 1
                pool[place] = pool[alive]
    return drawn[:n].reshape(-1, p)

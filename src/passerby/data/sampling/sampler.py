"""Which images form a batch.

Every sampler is a pure function of (seed, epoch): nothing has to be remembered to resume, except the similar
identities that `hard_identity` found with the model. With several processes each one computes the same global
batches and takes its share of the identities of each, so that N processes see what one process sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64
from passerby.config import SamplerConfig
from passerby.data.sampling.hard_identity import HardIdentitySampler
from passerby.data.sampling.identity_groups import IdentityGroups, Share, check_identities
from passerby.data.sampling.pk import PKSampler, ShuffledSampler
from passerby.errors import DataError


class Sampler(Protocol):
    """What the loader asks of a sampler."""

    def epoch_batches(self, epoch: int) -> Int64:
        """Image indices of this process, int64 [steps, local batch]; joined over ranks they are the global batch."""

    def steps(self, epoch: int) -> int:
        """Batches in the epoch (with P x K chunks it differs a little from epoch to epoch)."""

    def state_dict(self) -> dict[str, Any]:
        """What cannot be recomputed from seed and epoch."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`."""


def make_sampler(
    config: SamplerConfig,
    labels: Sequence[int] | npt.NDArray[np.integer],
    camids: Sequence[int] | None = None,
    *,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
) -> PKSampler | HardIdentitySampler | ShuffledSampler:
    """The sampler that a recipe asks for.

    Args:
        config: kind, P, K, epoch convention.
        labels: identity of each training image, [n].
        camids: camera of each training image, [n] (-1 unknown); needed by kind "camera".
        seed: the run's seed.
        rank: this process.
        world_size: how many processes share each batch.

    Raises:
        ConfigError: P cannot be divided by the number of processes, or `candidates` is shorter than P - 1.
        DataError: fewer identities than P, fewer images than a batch, or no cameras for kind "camera".
    """
    share = Share(rank, world_size)
    if config.kind == "shuffled":
        return ShuffledSampler(len(labels), config.batch_size, seed=seed, share=share)
    groups = IdentityGroups(labels, camids)
    check_identities(groups, config.identities, share)
    if config.kind == "hard_identity":
        return HardIdentitySampler(groups, config, seed=seed, share=share)
    if config.kind == "camera" and (groups.camids is None or bool((groups.camids < 0).all())):
        raise DataError('sampler.kind = "camera" needs camera ids, and no training image has one: use kind = "pk"')
    return PKSampler(
        groups,
        config.identities,
        config.images,
        # SphereReID's balanced sampling shows every identity equally often, so `epoch` has no effect there
        epoch="identities" if config.kind == "balanced" else config.epoch,
        cameras=config.kind == "camera",
        seed=seed,
        share=share,
    )

"""What batches must hold so that a training learns: pairs for metric losses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from passerby.config import SamplerConfig

log = logging.getLogger("passerby")


def warn_of_copies(labels: Sequence[int], sampler: SamplerConfig) -> None:
    """Say how many identities have one training image, whose positive pairs are copies of it.

    Args:
        labels: identity of each training image.
        sampler: says how many images of an identity a batch has.
    """
    counts = np.bincount(np.asarray(labels))
    counts = counts[counts > 0]
    single = int((counts == 1).sum())
    if single and sampler.images > 1 and sampler.kind != "shuffled":
        log.warning(
            "%d of %d identities have one training image: with sampler.images = %d their positive pairs are copies of "
            "it, which differ by augmentation alone",
            single,
            len(counts),
            sampler.images,
        )


def warn_of_idle_terms(means: Mapping[str, float], sampler: SamplerConfig, *, epoch: int) -> None:
    """Name the terms that were 0 in a whole epoch, from which nothing was learnt.

    Args:
        means: mean value of each term over the epoch, "total" among them.
        sampler: how batches were made.
        epoch: 0-based; for the message.
    """
    for name in (name for name, mean in means.items() if mean == 0.0 and name != "total"):
        log.warning(
            "objective.%s was exactly 0 in every step of epoch %d: the network learnt nothing from it. Either no batch "
            "had two images of one identity beside another identity (sampler.kind = %r, sampler.images = %d; how many "
            "images does an identity have?), or its margin is met everywhere",
            name,
            epoch + 1,
            sampler.kind,
            sampler.images,
        )

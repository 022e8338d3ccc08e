"""Images that grow: half the height and width first, then the full size, for which batch norm must start afresh."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn

from passerby.config import Config
from passerby.models.model import ReIDModel
from passerby.training.step import image_groups

STATISTICS_BATCHES = 20
"""Batches from which batch norm's statistics are estimated at the switch."""


def image_size(config: Config, epoch: int) -> tuple[int, int]:
    """Height and width of the training images of a 0-based epoch."""
    if epoch < config.schedule.small_epochs:
        return config.input.height // 2, config.input.width // 2
    return config.input.height, config.input.width


def is_switch(config: Config, epoch: int) -> bool:
    """Whether batch norm's statistics are to be estimated anew before a 0-based epoch: it is the first at full size."""
    schedule = config.schedule
    return schedule.full_size_rate > 0 and 0 < schedule.small_epochs == epoch


@torch.no_grad()
def estimate_statistics(
    model: ReIDModel, batches: Iterable[Tensor], precision: torch.dtype, *, micro_batch: int = 0
) -> None:
    """Replace the running statistics of every batch norm in training mode by their means over some batches.

    At another image size activations are distributed differently, and a running mean takes many steps to forget.

    Args:
        model: in training mode; nothing but the statistics changes.
        batches: images [B, 3, H, W] on the model's device; the first `STATISTICS_BATCHES` are used.
        precision: arithmetic of the network.
        micro_batch: most images that pass through the backbone at once, in the groups of a step; 0: a whole batch.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = None  # a plain mean over all batches
        norm.num_batches_tracked = torch.tensor(0, device=norm.weight.device)
        norm.reset_running_stats()
    try:
        for images in islice(batches, STATISTICS_BATCHES):
            with torch.autocast(images.device.type, precision, enabled=precision != torch.float32):
                model.vectors(torch.cat([model.pooled(part) for part in image_groups(images, micro_batch)]))
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count

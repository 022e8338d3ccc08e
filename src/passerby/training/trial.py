"""One forward pass of the smallest batches that a training will see, before any image is read."""

from __future__ import annotations

import textwrap

import torch

from passerby.config import Config
from passerby.errors import ConfigError
from passerby.models.model import ReIDModel
from passerby.training.growing import image_size
from passerby.training.step import image_groups

_ENOUGH = 2  # with two images no batch norm lacks values


def check_shapes(model: ReIDModel, config: Config, *, processes: int) -> None:
    """Refuse batches and image sizes on which the network cannot be trained: batch norm of one value, an empty map.

    Args:
        model: the network, on the CPU; nothing of it changes but that it is in training mode.
        config: says how large images are in each epoch, how many a batch has, and in which groups they pass.
        processes: that share a batch.

    Raises:
        ConfigError: too few images in each process or in a group, or too small ones.
    """
    images = config.sampler.batch_size // processes
    schedule = config.schedule
    epochs = range(schedule.epochs)
    for size, frozen in dict.fromkeys((image_size(config, e), e < schedule.freeze_backbone_epochs) for e in epochs):
        model.train()
        model.backbone.train(not frozen)
        smallest = _smallest_group(images, config.run.micro_batch)
        if _fault(model, size, group=smallest, images=images) is None:
            continue
        fault = _fault(model, size, group=_ENOUGH, images=_ENOUGH)
        if fault is not None:
            raise ConfigError(_of_size(config, size, fault))
        raise ConfigError(_of_batch(config, processes) if images < _ENOUGH else _of_groups(config, size, images))
    model.train()


def _smallest_group(images: int, micro_batch: int) -> int:
    return min(len(group) for group in image_groups(torch.empty(images), micro_batch))


def _fault(model: ReIDModel, size: tuple[int, int], *, group: int, images: int) -> Exception | None:
    """What the network raises: the backbone on a group of images, or the head on a whole batch of their vectors."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            pooled = model.pooled(torch.zeros(min(group, _ENOUGH), 3, *size))
            model.vectors(pooled[:1].repeat(min(images, _ENOUGH), 1))
    except (ValueError, RuntimeError, AssertionError) as error:  # torch's layers and timm's networks raise these
        return error
    finally:
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
    return None


def _of_batch(config: Config, processes: int) -> str:
    sampler = config.sampler
    return (
        f"a batch of {sampler.batch_size // processes} image in each process (sampler.identities = "
        f"{sampler.identities} x sampler.images = {sampler.images}, {processes} process{'es' if processes > 1 else ''}"
        "): batch norm needs at least two. Raise sampler.identities or sampler.images"
    )


def _of_groups(config: Config, size: tuple[int, int], images: int) -> str:
    given = config.run.micro_batch
    enough = next(n for n in range(given + 1, images + 1) if _smallest_group(images, n) >= _ENOUGH)
    return (
        f"run.micro_batch = {given}: of the {images} images of a batch in each process some pass one by one, and batch "
        f"norm needs at least two where the map of a {size[0]}x{size[1]} image has one value. Set run.micro_batch to "
        f"{enough} or more (0: the whole batch), or raise input.height and input.width"
    )


def _of_size(config: Config, size: tuple[int, int], fault: Exception) -> str:
    whole = size == (config.input.height, config.input.width)
    of = "input.height x input.width" if whole else "half of input.height x input.width, as schedule.small_until says"
    reason = textwrap.shorten(" ".join(str(fault).split()) or type(fault).__name__, 200)
    return (
        f"images of {size[0]}x{size[1]} ({of}): the backbone {config.model.backbone!r} cannot be trained on them "
        f"({reason}); choose another input.height and input.width"
    )

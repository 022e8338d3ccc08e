"""What a recipe leaves to the data: how many epochs, who is held out, how much of the training is at full size."""

from __future__ import annotations

import logging
import math
from itertools import pairwise

from passerby.config import Config
from passerby.config.settings_group import AUTO_EPOCHS
from passerby.data.dataset_of_config import fitted_to, held_out_of
from passerby.data.records import ReIDDataset
from passerby.errors import ConfigError, WeightsError
from passerby.models.hub import file_of_model

log = logging.getLogger("passerby")

EPOCHS_BY_IMAGES = ((2_000, 20), (10_000, 16))
"""Epochs of a fine-tuning by training images: on 100 held-out people of Market-1501 the fewest within 1.5 mAP of the
best of 10 to 80 epochs (500 images), 5 to 40 (2,000) and 4 to 16 (10,000); benchmarks/README.md."""
_FULL_SIZE_STEPS = 50
"""Steps at full size that a training needs after small images, or a quarter of the small ones where those are few."""


def check_fitting(config: Config) -> None:
    """Refuse settings that cannot be fitted to any data, before any are read.

    Raises:
        ConfigError: the epochs of a fine-tuning are asked for, without weights to fine-tune; no epoch at full size.
    """
    schedule = config.schedule
    if schedule.epochs == AUTO_EPOCHS and config.model.weights is None:
        raise ConfigError(
            f'recipe {config.name}: schedule.epochs = "auto" is how long pretrained weights are fine-tuned: name them '
            "with --model.weights FILE, or give --schedule.epochs N to train from random ones"
        )
    if schedule.epochs != AUTO_EPOCHS and schedule.small_epochs >= schedule.epochs:
        raise ConfigError(
            f"schedule.small_until = {schedule.small_until:g} of {schedule.epochs} epochs leaves none at full size, "
            "the size at which the encoder is used; lower it, or halve input.height and input.width"
        )


def check_files(config: Config, *, resumes: bool) -> None:
    """Refuse a recipe that names files which are not there, before anything is made.

    Args:
        config: the recipe.
        resumes: there is a checkpoint, which has the weights already.

    Raises:
        WeightsError: no such weights.
        NetworkError: the hub's weights are not here and cannot be fetched.
        ConfigError: no such vectors of a teacher.
    """
    weights, vectors = config.model.weights, config.distillation.vectors
    if weights is not None and not resumes and not file_of_model(weights).exists():
        raise WeightsError(
            f"model.weights: {weights}: no such file; hub:NAME fetches a known public checkpoint (`passerby hub list`)"
        )
    if vectors is not None and not vectors.expanduser().exists():
        raise ConfigError(
            f"distillation.vectors: {vectors}: no such file; `passerby embed TEACHER --parts train` makes it"
        )


def fit_to_data(config: Config, data: ReIDDataset) -> Config:
    """The recipe with a number wherever it says "auto"; with its epochs, a batch is fitted to very few people too.

    Args:
        config: the recipe.
        data: what is trained on; whole, with the people that will be held out.
    """
    settings = fitted_to(config.data, data)
    schedule, sampler = config.schedule, config.sampler
    if schedule.epochs == AUTO_EPOCHS:
        training, _ = data.hold_out(held_out_of(settings, data))
        people, images = len({s.pid for s in training.train}), len(training.train)
        schedule = schedule.model_copy(update={"epochs": epochs_for(images)})
        log.info('%s training images: %d epochs (schedule.epochs = "auto")', f"{images:,}", schedule.epochs)
        if people < sampler.identities:
            log.info("%d people to learn from: all of them in a batch, not %d", people, sampler.identities)
            sampler = sampler.model_copy(update={"identities": people})
    return config.model_copy(update={"data": settings, "schedule": schedule, "sampler": sampler})


def epochs_for(images: int) -> int:
    """Epochs of a fine-tuning: log-linear between the points of `EPOCHS_BY_IMAGES`, and theirs beyond the last."""
    points = EPOCHS_BY_IMAGES
    if images <= points[0][0]:
        return points[0][1]
    for (few, more_epochs), (many, fewer_epochs) in pairwise(points):
        if images <= many:
            share = math.log(images / few) / math.log(many / few)
            return round(math.exp((1 - share) * math.log(more_epochs) + share * math.log(fewer_epochs)))
    return points[-1][1]


def check_full_size_steps(config: Config, small: int, full: int) -> None:
    """Refuse a training with too few steps at full size behind its small ones.

    Args:
        config: the recipe.
        small: steps at half the size.
        full: steps at full size.

    Raises:
        ConfigError: fewer than needed.
    """
    needed = min(_FULL_SIZE_STEPS, math.ceil(small / 4))
    if small and full < needed:
        raise ConfigError(
            f"schedule.small_until = {config.schedule.small_until:g}: {full} steps at full size follow {small} at half "
            f"the size; expected at least {needed}, for the encoder is used at full size. Lower small_until (0 is best "
            "for a short training) or raise epochs"
        )


def describe_split(before: Config, config: Config, data: ReIDDataset) -> str:
    """One line on who is learnt from, who is held out and who is in the test.

    Args:
        before: the recipe as it was given.
        config: the same, fitted.
        data: the whole dataset.
    """
    people = len({s.pid for s in data.train})
    test = len({s.pid for s in data.query})
    held = config.data.held_out_identities
    by_itself = "" if before.data.held_out_identities == held else ' (data.held_out_identities = "auto")'
    words = f"{data.name}: {people - held} people to learn from, "
    words += f"{held} held out to choose the best epoch{by_itself}, " if held else f"none held out{by_itself}, "
    words += f"{test} in the test" if test else "none in a test"
    share = config.data.arguments.get("test_share")
    if share is not None and "test_share" not in before.data.arguments:
        words += f" (--data.arguments test_share={0.0 if test else 0.5} changes that)"
    return words

"""The model in training as an encoder, with where it comes from."""

from __future__ import annotations

import copy
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from passerby import distributed
from passerby.config import Config
from passerby.data.records import ReIDDataset, Sample
from passerby.models.encoder import Encoder
from passerby.models.model import ReIDModel
from passerby.training.optim import AveragedWeights
from passerby.version import __version__


def snapshot(
    model: ReIDModel, average: AveragedWeights | None, config: Config, provenance: Mapping[str, Any]
) -> Encoder:
    """The model as it is now (or its averaged weights), apart from the one in training; the first process's in all."""
    taken = copy.deepcopy(model).requires_grad_(False).eval()
    if average is not None:
        taken.load_state_dict(average.tensors)
    distributed.broadcast(taken.state_dict().values())  # each process has seen other images in its batch norm
    return Encoder.from_model(taken, config.input, config.model, provenance)


def provenance_of(config: Config, data: ReIDDataset, samples: Sequence[Sample]) -> dict[str, Any]:
    """What an encoder's folder says about its training: recipe, settings, data and versions.

    Args:
        config: the recipe.
        data: the whole dataset.
        samples: the images of it that were trained on.
    """
    return {
        "recipe": config.name,
        "config": config.to_toml(),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint(),
            "train_images": len(samples),
            "train_identities": len({s.pid for s in samples}),
            "notes": list(data.notes),
        },
        "versions": {"passerby": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }

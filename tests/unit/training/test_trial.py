"""Batches and image sizes on which a network cannot be trained are found by one pass of the smallest ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from passerby.config import Config, parse_config
from passerby.errors import ConfigError
from passerby.models.model import BACKBONES, build_model
from passerby.training.step import image_groups
from passerby.training.trial import check_shapes


def settings(backbone: str, size: tuple[int, int], batch: tuple[int, int], micro_batch: int = 0, **more: Any) -> Config:
    content = {
        "input": {"height": size[0], "width": size[1]},
        "sampler": {"identities": batch[0], "images": batch[1]},
        "model": {"backbone": backbone, "neck": more.pop("neck", "none")},
        "run": {"micro_batch": micro_batch},
        "schedule": {"epochs": 4, **more},
    }
    return parse_config(content, where="test")


def fails(config: Config, *, processes: int = 1) -> bool:
    """Whether torch itself fails on the smallest share of a batch."""
    model = build_model(config.model)
    images = torch.zeros(config.sampler.batch_size // processes, 3, config.input.height, config.input.width)
    try:
        model.vectors(torch.cat([model.pooled(group) for group in image_groups(images, config.run.micro_batch)]))
    except (ValueError, RuntimeError):
        return True
    return False


SMALL = (16, 8)
REFUSED: dict[str, tuple[Config, int, str]] = {
    "one image, batch norm of vectors": (
        settings("tiny:resnet18", (64, 32), (1, 1), neck="bnneck"), 1, r"^a batch of 1 image in each .* 1 process\)"),
    "one image in each process": (
        settings("tiny:osnet_x0_25", (64, 32), (4, 1)), 4, r"^a batch of 1 image in each process .*, 4 processes\)"),
    "one image, map of one value": (settings("tiny:resnet18", SMALL, (1, 1)), 1, "^a batch of 1 image"),
    "one image, map of one value, in a group": (settings("tiny:resnet18", SMALL, (1, 1), 4), 1, "^a batch of 1 image"),
    "MobileNet": (settings("mobilenet_v2", (32, 16), (1, 1)), 1, "^a batch of 1 image"),
    "groups of one image": (
        settings("mobilenet_v2", (32, 16), (2, 2), 1), 1, r"micro_batch = 1: of the 4 .*Set run\.micro_batch to 2"),
    "a group of one image beside one of two": (
        settings("tiny:resnet18", SMALL, (3, 1), 2), 1, r"micro_batch = 2: of the 3 .*Set run\.micro_batch to 3"),
    "no map is left": (settings("tiny:osnet_x0_25", SMALL, (4, 4)), 1, r"^images of 16x8 \(input\.height.*too small"),
    "instance norm of one value": (settings("tiny:osnet_ain_x1_0", (16, 16), (4, 4)), 1, "^images of 16x16 .*spatial"),
}  # fmt: skip
"""Settings, processes, message."""


@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_would_fail_on_is_refused_in_one_line(case: str) -> None:
    config, processes, message = REFUSED[case]
    assert fails(config, processes=processes)
    with pytest.raises(ConfigError, match=message) as found:
        check_shapes(build_model(config.model), config, processes=processes)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "config",
    [
        settings("tiny:resnet18", (64, 32), (1, 1)),  # maps have several values a channel in one image
        settings("tiny:resnet18", (64, 32), (2, 1), 1, neck="bnneck"),  # the head sees the whole batch
        settings("tiny:osnet_x0_25", (64, 32), (2, 2), 1),
        settings("tiny:resnet18", SMALL, (2, 1), 2),
        settings("tiny:resnet18", SMALL, (1, 1), freeze_backbone_epochs=4),  # a frozen batch norm needs no other image
    ],
)
def test_what_works_passes(config: Config) -> None:
    check_shapes(build_model(config.model), config, processes=1)


def test_half_sizes_and_later_epochs_are_tried() -> None:
    config = settings("tiny:osnet_x0_25", (32, 16), (4, 4), small_until=0.5)
    with pytest.raises(
        ConfigError, match=r"images of 16x8 \(half of input\.height x input\.width, as schedule\.small_until"
    ):
        check_shapes(build_model(config.model), config, processes=1)
    config = settings("tiny:resnet18", SMALL, (1, 1), freeze_backbone_epochs=2)
    with pytest.raises(ConfigError, match="batch of 1 image"):
        check_shapes(build_model(config.model), config, processes=1)


@pytest.mark.parametrize("backbone", ["resnet18", "osnet_ain_x1_0", "inception_v2"])
def test_nothing_is_changed(backbone: str) -> None:
    assert backbone in BACKBONES
    config = settings(f"tiny:{backbone}", (64, 32), (4, 4), neck="bnneck")
    model = build_model(config.model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    check_shapes(model, config, processes=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())

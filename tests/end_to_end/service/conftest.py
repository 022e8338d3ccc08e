"""A service with a tiny encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.end_to_end.service.harness import KEYS, Running, launch

from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder
from passerby.models.model import build_model
from passerby.service.app import create_app
from passerby.service.limits import Limits


@pytest.fixture(scope="session")
def encoder() -> Iterator[Encoder]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the network is tiny: more threads would only wait for each other
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    made = Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {})
    made.calibration = {
        "value": 0.2,
        "far": 0.01,
        "interval": [0.18, 0.23],
        "impostors": 100,
        "curve": [{"threshold": t / 10, "far": t / 20, "dir": min(1.0, t / 4)} for t in range(1, 15)],
    }
    yield made
    torch.set_num_threads(threads)


@pytest.fixture
def start(encoder: Encoder, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def make(*, path: Path | None = None, limits: Limits | None = None, **options: Any) -> Running:
        place = path or tmp_path / "people.gallery"
        bounds = limits or Limits(rate=0)
        app = create_app(
            place, options.pop("encoder", encoder), keys=options.pop("keys", KEYS), limits=bounds, **options
        )
        running.append(launch(app, place, bounds))
        return running[-1]

    yield make
    for one in running:
        one.stop()

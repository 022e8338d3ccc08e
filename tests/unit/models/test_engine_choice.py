"""The fastest engine that is there runs the encoder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.errors import ConfigError, WeightsError
from passerby.models.encoder import Encoder
from passerby.models.engines import choice as engines
from passerby.models.engines import timing
from passerby.models.engines.choice import measure, pick_encoder
from passerby.models.model import build_model


class Clock:
    """Goes on only where somebody takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


class Slow:
    """Takes its time."""

    preprocessing = SimpleNamespace(height=4, width=2)

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds, self.clock = seconds, clock

    def encode_batch(self, images: torch.Tensor, *, flip: bool) -> torch.Tensor:
        self.clock.now += self.seconds
        return images


def test_speeds_are_measured_side_by_side(clock: Clock) -> None:
    speeds = measure({"a": Slow(0.5, clock), "b": Slow(0.125, clock)})  # type: ignore[dict-item]
    assert speeds == {"a": 16.0, "b": 64.0}  # eight images each time


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {}).save(tmp_path / "e")
    return tmp_path / "e"


def test_torch_where_nothing_was_exported(folder: Path) -> None:
    encoder, speeds = pick_encoder(folder)
    assert (encoder.engine.name, speeds) == ("torch", {})
    with pytest.raises(WeightsError, match="passerby export"):
        pick_encoder(folder, "openvino")
    with pytest.raises(ConfigError, match="unknown engine"):
        pick_encoder(folder, "abacus")
    with pytest.raises(WeightsError, match="is no folder"):
        pick_encoder(folder / "none")


def test_the_fastest_is_chosen(folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Any, engine: str, threads: int | None) -> Any:
        if engine == "onnxruntime":
            raise WeightsError("not exported")
        return Slow({"torch": 0.03, "openvino": 0.001}[engine], clock)

    monkeypatch.setattr(engines, "load_encoder", load)
    encoder, speeds = pick_encoder(folder)
    assert encoder.seconds == 0.001  # type: ignore[attr-defined]
    assert set(speeds) == {"torch", "openvino"}

"""The fastest engine that is there runs the encoder."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.errors import ConfigError, WeightsError
from passerby.models.encoder import Encoder
from passerby.models.engines import choice as engines
from passerby.models.engines.choice import measure, pick_encoder
from passerby.models.model import build_model


class Slow:
    """Takes its time."""

    preprocessing = SimpleNamespace(height=4, width=2)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def encode_batch(self, images: torch.Tensor, *, flip: bool) -> torch.Tensor:
        time.sleep(self.seconds)
        return images


def test_speeds_are_measured_side_by_side() -> None:
    speeds = measure({"a": Slow(0.05), "b": Slow(0.001)})  # type: ignore[dict-item]
    assert speeds["b"] > speeds["a"] > 0


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


def test_the_fastest_is_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Any, engine: str) -> Any:
        if engine == "onnxruntime":
            raise WeightsError("not exported")
        return Slow({"torch": 0.03, "openvino": 0.001}[engine])

    monkeypatch.setattr(engines, "load_encoder", load)
    encoder, speeds = pick_encoder(folder)
    assert encoder.seconds == 0.001  # type: ignore[attr-defined]
    assert set(speeds) == {"torch", "openvino"}

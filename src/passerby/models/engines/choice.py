"""The engine that runs an encoder fastest here, among those its folder has files for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

import torch

from passerby.errors import MissingExtraError, WeightsError
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.engine import ENGINES
from passerby.models.engines.timing import seconds_of_each

AUTO = "auto"
_IMAGES, _ROUNDS = 8, 3


def pick_encoder(folder: str | os.PathLike[str], engine: str = AUTO) -> tuple[Encoder, dict[str, float]]:
    """The encoder of a folder on an engine: "torch", "onnxruntime", "openvino", or the fastest of them ("auto").

    ONNX Runtime and OpenVINO run what `passerby export` put into the folder. Where there is more than one to choose
    from, each encodes a few images.

    Returns:
        The encoder, and images per second of each engine that was measured.

    Raises:
        WeightsError: no encoder there, or nothing for this engine.
        ConfigError: an unknown engine.
        MissingExtraError: the engine is not installed.
    """
    if engine != AUTO:
        return load_encoder(folder, engine), {}
    found: dict[str, Encoder] = {}
    for name in ENGINES:
        try:
            found[name] = load_encoder(folder, name)
        except (MissingExtraError, WeightsError):
            continue  # not exported, not installed, or stale
    if not found:
        return load_encoder(folder), {}  # says what is wrong
    if len(found) == 1:
        return next(iter(found.values())), {}
    speeds = measure(found)
    return found[max(speeds, key=lambda name: speeds[name])], speeds


def measure(encoders: Mapping[str, Encoder]) -> dict[str, float]:
    """Images per second of each, the best of a few rounds in which they take turns."""
    size = next(iter(encoders.values())).preprocessing
    images = torch.zeros((_IMAGES, 3, size.height, size.width), dtype=torch.uint8)
    ways = {name: partial(encoder.encode_batch, images, flip=True) for name, encoder in encoders.items()}
    return {name: _IMAGES / min(taken) for name, taken in seconds_of_each(ways, rounds=_ROUNDS).items()}

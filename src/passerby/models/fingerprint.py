"""Fingerprints: vectors of two encoders can be compared where these are equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from passerby.config import ModelConfig
from passerby.models.engines.preprocessing import Preprocessing

_YOUNGER = ("last_pool", "tail", "fc_end")
"""Settings that the first encoders did not have: left out at their defaults, so that those keep their fingerprint."""


def architecture_of(config: ModelConfig) -> dict[str, Any]:
    """How a model is built, as plain values: its settings without the file that it started from."""
    architecture = config.model_dump(mode="json", exclude={"weights"})
    changed = config.model_dump(exclude_defaults=True)
    return {name: value for name, value in architecture.items() if name not in _YOUNGER or name in changed}


def fingerprint_of_weights(
    state: Mapping[str, Tensor], preprocessing: Preprocessing, architecture: Mapping[str, Any]
) -> str:
    """SHA-256 (32 hex digits) of everything that decides a vector.

    Args:
        state: the network's `state_dict`.
        preprocessing: its input.
        architecture: how it was built, as plain values.
    """
    digest = hashlib.sha256(
        json.dumps(
            [preprocessing.model_dump(mode="json", exclude_defaults=True), dict(architecture)], sort_keys=True
        ).encode()
    )
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):  # a counter of training steps that no vector depends on
            continue
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]

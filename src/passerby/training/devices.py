"""Where a training computes, how precisely, and with how many threads."""

from __future__ import annotations

import logging

import torch

from passerby import distributed
from passerby.errors import ConfigError

log = logging.getLogger("passerby")


def choose_device(name: str) -> torch.device:
    """The device by name; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        name = next((n for n in ("cuda", "mps") if getattr(torch, n).is_available()), "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"run.device: {name!r} cannot be used here ({str(error).splitlines()[0]})") from None
    if device == torch.device("cuda"):
        return torch.device("cuda", distributed.local_rank())
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of the network's arithmetic by name; "auto" is bfloat16 on GPUs that have it, else float32.

    Raises:
        ConfigError: float16 on a CPU, where it neither is fast nor trains.
    """
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if name == "float16" and device.type == "cpu":
        raise ConfigError("run.precision: float16 does not train on a CPU; choose bfloat16 or float32")
    if name == "bfloat16" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "NO AVX"):
        # measured with OSNet x0.25: 7.0 s a step instead of 0.4 s
        log.warning("run.precision: this processor has no bfloat16 and emulates it, many times slower than float32")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]

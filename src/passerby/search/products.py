"""The float32 matrix product that screens pairs, on the CPU or on an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch

from passerby.array_types import Float32
from passerby.errors import ConfigError

Product: TypeAlias = Callable[[Float32, Float32, Float32], None]
"""(a [m, dim], b [n, dim], out [m, n]): out becomes a @ b.T."""


def product_on(device: str | None) -> Product:
    """The product for a device by name.

    What decides is exact and stays on the CPU, so results do not depend on the device; only speed does.

    Args:
        device: None or "cpu"; "cuda", "cuda:1", "mps", ...; "auto" takes a CUDA device where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else None
    if device is None or device == "cpu":
        return _numpy_product
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what torch raises without that backend
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r} cannot be used here ({reason}); try 'cpu' or 'auto'") from None
    return torch_product(place)


def torch_product(place: torch.device) -> Product:
    """The product by torch, in full float32 (the screen's bound does not hold for TF32)."""

    def product(a: Float32, b: Float32, out: Float32) -> None:
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            x, y = (torch.from_numpy(part).to(place) for part in (a, b))
            torch.from_numpy(out).copy_(x @ y.T)
        finally:
            torch.set_float32_matmul_precision(precision)

    return product


def _numpy_product(a: Float32, b: Float32, out: Float32) -> None:
    np.matmul(a, b.T, out=out)

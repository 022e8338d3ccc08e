"""The float32 matrix product that screens pairs, on the CPU or on an accelerator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import torch

from passerby.array_types import Float32
from passerby.errors import ConfigError

Product: TypeAlias = Callable[[Float32, Float32, Float32], None]
"""(a [m, dim], b [n, dim], out [m, n]): out becomes a @ b.T."""

_on_accelerator = threading.RLock()


@contextmanager
def product_on(device: str | None) -> Iterator[Product]:
    """The product for a device by name, for the length of one search.

    What decides is exact and stays on the CPU, so results do not depend on the device; only speed does. On an
    accelerator products are in full float32 (the screen's bound does not hold for TF32): torch has only one setting
    for the whole process, which is set for the search and restored after it, for one search at a time.

    Args:
        device: None or "cpu"; "cuda", "cuda:1", "mps", ...; "auto" takes a CUDA device where there is one.

    Raises:
        ConfigError: no such device here.
    """
    place = check_device(device)
    if place is None:
        yield _numpy_product
        return
    with _on_accelerator:
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield torch_product(place)
        finally:
            torch.set_float32_matmul_precision(precision)


def check_device(device: str | None) -> torch.device | None:
    """The accelerator of this name; None for the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else None
    if device is None or device == "cpu":
        return None
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
        TypeError,
    ) as error:  # what torch raises without that backend
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r} cannot be used here ({reason}); try 'cpu' or 'auto'") from None
    return place


def torch_product(place: torch.device) -> Product:
    """The product by torch, in the precision that torch is set to."""

    def product(a: Float32, b: Float32, out: Float32) -> None:
        x, y = (torch.from_numpy(part).to(place) for part in (a, b))
        torch.from_numpy(out).copy_(x @ y.T)

    return product


def _numpy_product(a: Float32, b: Float32, out: Float32) -> None:
    np.matmul(a, b.T, out=out)

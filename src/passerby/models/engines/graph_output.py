"""From what a graph gives to one row a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32
from passerby.errors import WeightsError

_EPSILON = 1e-12


def as_rows(output: npt.NDArray[Any], images: int, where: object) -> Float32:
    """Vectors float32 [images, dim] from [n, dim], [dim] of one image, [n, dim, 1, 1], [1, n, dim] and their kind.

    Args:
        output: what the graph gave.
        images: how many it was given.
        where: the graph's file, for messages.

    Raises:
        WeightsError: another shape, or no floating-point numbers.
    """
    if output.dtype.kind != "f":
        whole = output.dtype.kind in "iu"
        raise WeightsError(
            f"{where}: expected vectors of {'floating-point ' if whole else ''}numbers, found {output.dtype}"
            + (
                ": rounded vectors lose what tells people apart; name another output, or export it unrounded"
                if whole
                else ""
            )
        )
    long = tuple(size for size in output.shape if size != 1)
    rows = long if images > 1 else (1, *long)
    if len(rows) != 2 or rows[0] != images:
        raise WeightsError(
            f"{where}: expected one vector an image, [{images}, dim], found {list(output.shape)} for {images} "
            f"{'image' if images == 1 else 'images'}" + (": a map, not a vector" if len(rows) > 2 else "")
        )
    return np.ascontiguousarray(output.reshape(rows), np.float32)


def unit_rows(rows: Float32, where: object) -> Float32:
    """Rows of unit length (a row of zeros stays one).

    Raises:
        WeightsError: NaN or infinite numbers.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if not np.isfinite(lengths).all():
        wrong = int(np.flatnonzero(~np.isfinite(lengths))[0])
        raise WeightsError(f"{where}: gives NaN or infinite numbers (image {wrong} of a batch of {len(rows)})")
    return np.asarray(rows / np.maximum(lengths, _EPSILON)[:, None], np.float32)

"""`passerby.search.exact_keys` for many pairs, compiled."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.numba_jit import compiled
from passerby.search.exact_keys import LANES


@compiled
def compiled_keys(a: Float32, b: Float32, rows: Int64, columns: Int64, cosine: bool) -> Float64:
    """`exact_keys`; sums are not reordered (they are laid out so that the inner loops vectorise as they stand)."""
    keys = np.empty(len(rows), np.float64)
    xy, xx, yy = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    dim = a.shape[1]
    whole = dim // LANES * LANES
    for i in range(len(rows)):
        x, y = a[rows[i]], b[columns[i]]
        xy[:] = 0.0
        if cosine:
            xx[:] = 0.0
            yy[:] = 0.0
            # unsigned indices: signed ones are guarded against negative values, and then nothing vectorises
            for start in range(np.uint64(0), np.uint64(whole), np.uint64(LANES)):
                for lane in range(np.uint64(LANES)):
                    p, q = np.float64(x[start + lane]), np.float64(y[start + lane])
                    xy[lane] += p * q
                    xx[lane] += p * p
                    yy[lane] += q * q
            for lane in range(dim - whole):
                p, q = np.float64(x[whole + lane]), np.float64(y[whole + lane])
                xy[lane] += p * q
                xx[lane] += p * p
                yy[lane] += q * q
            both = _total(xx) * _total(yy)
            keys[i] = 1.0 - _total(xy) / np.sqrt(both) if both > 0.0 else 1.0
        else:
            for start in range(np.uint64(0), np.uint64(whole), np.uint64(LANES)):
                for lane in range(np.uint64(LANES)):
                    difference = np.float64(x[start + lane]) - np.float64(y[start + lane])
                    xy[lane] += difference * difference
            for lane in range(dim - whole):
                difference = np.float64(x[whole + lane]) - np.float64(y[whole + lane])
                xy[lane] += difference * difference
            keys[i] = _total(xy)
    return keys


@compiled
def _total(sums: Float64) -> float:
    """All sums in one, in halves; overwrites them."""
    half = len(sums) // 2
    while half > 0:
        for lane in range(half):
            sums[lane] += sums[lane + half]
        half //= 2
    return float(sums[0])

"""What decides which of two images is nearer, in float64: the same two vectors have the same key wherever they stand.

The order of every sum is fixed: entry k is added to sum k mod 32, one after the other, and the 32 sums are then added
in halves (0 and 16, 1 and 17, ...; 0 and 8, ...). A compiled loop and numpy can both keep to it with the processor's
vector instructions, so both give the same to the last bit.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.small_work import is_small

LANES = 32
"""Sums that are added at the end; a power of two."""
_NUMBERS = 2**15  # of one operand that are held at once in numpy: they stay in the processor's cache
_CALL = 1e-4  # seconds that a call in numpy takes
_SECONDS = 1e-8  # and for one number of a pair


def exact_keys(a: Float32, b: Float32, rows: Int64, columns: Int64, cosine: bool) -> Float64:
    """What is compared, for the pairs (a[rows[i]], b[columns[i]]).

    The squared Euclidean distance, or 1 - cosine similarity (1 for a zero vector).

    Args:
        a: [n, dim].
        b: [m, dim].
        rows: [pairs].
        columns: [pairs].
        cosine: which of the two.
    """
    if is_small(_CALL + len(rows) * a.shape[1] * _SECONDS):
        return plain_keys(a, b, rows, columns, cosine)
    from passerby.search.compiled_keys import compiled_keys

    return compiled_keys(a, b, rows, columns, cosine)


def plain_keys(a: Float32, b: Float32, rows: Int64, columns: Int64, cosine: bool) -> Float64:
    """`exact_keys` in numpy."""
    keys = np.empty(len(rows))
    step = max(1, _NUMBERS // max(a.shape[1], 1))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        x, y = a[rows[part]].astype(np.float64), b[columns[part]].astype(np.float64)
        if not cosine:
            x -= y
            keys[part] = _sums(x * x)
            continue
        both = _sums(x * x) * _sums(y * y)
        similarity = np.divide(_sums(x * y), np.sqrt(both), out=np.zeros_like(both), where=both > 0.0)
        keys[part] = 1.0 - similarity
    return keys


def _sums(terms: Float64) -> Float64:
    """Of each row [n, dim], in the order above."""
    sums = np.zeros((len(terms), LANES))
    for first in range(0, terms.shape[1], LANES):
        part = terms[:, first : first + LANES]
        sums[:, : part.shape[1]] += part
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]

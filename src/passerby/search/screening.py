"""Scores by float32 matrix product, with a proven bound on how far they are from the exact ones.

For a fixed query q the score of g is 2 q'·g' - |g'|² = |q'|² - |q' - g'|², where ' subtracts a common centre (which
moves no Euclidean distance, and shortens the vectors and with them the rounding). With u = 2⁻²⁴, whatever order a
matrix product adds in, its error is at most D u/(1 - D u) |q'||g'| (Higham, Accuracy and Stability of Numerical
Algorithms, section 3.1); centring moves each vector by at most u times its length; the remaining steps (|g'|², the
subtraction, the scores of true matches and their limits) are single roundings. Together

    |score - exact| <= u ((2 D + 8) |q'||g'| + 6 (|q'| + |g'|)²) · 1.01.

Cosine scores 2 cos(q, g) come from unit rows and obey the same bound with |q'| = |g'| = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.search.counting import longest_row, prepare_rows

_UNIT_ROUNDOFF = 2.0**-24
_CENTER_ROWS = 4096


@dataclass(frozen=True)
class Screen:
    """How vectors are prepared for the float32 product.

    Attributes:
        cosine: unit rows instead of centred ones.
        center: what is subtracted, [dim].
        scale: power of two that keeps squares within float32's range.
        longest: length of the longest prepared gallery vector.
    """

    cosine: bool
    center: Float32
    scale: float
    longest: float

    def prepare(self, vectors: Float32, rows: Int64) -> tuple[Float32, Float64]:
        """Prepared copies [n, dim] of some rows, and their squared lengths [n]."""
        prepared = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
        return prepared, prepare_rows(vectors, rows, self.center, self.scale, self.cosine, prepared)

    def offsets(self, squared: Float64) -> Float32:
        """What is subtracted from twice the products with each gallery vector."""
        return (np.zeros_like(squared) if self.cosine else squared).astype(np.float32)

    def score_of(self, keys: Float64, squared: Float64) -> Float32:
        """Scores without rounding of pairs with these exact keys and prepared squared query lengths."""
        if self.cosine:
            return (2.0 - 2.0 * keys).astype(np.float32)
        return (squared - keys * self.scale**2).astype(np.float32)

    def slack(self, squared: Float64, dim: int) -> Float32:
        """The bound for queries of these prepared squared lengths."""
        q = np.ones_like(squared) if self.cosine else np.sqrt(squared)
        g = self.longest
        bound = _UNIT_ROUNDOFF * ((2 * dim + 8) * q * g + 6 * (q + g) ** 2) * 1.01
        return np.nextafter(bound.astype(np.float32), np.float32(np.inf))  # an upper bound after rounding, never 0


def make_screen(query: Float32, gallery: Float32, *, cosine: bool, centered: bool = True) -> Screen:
    """Centre, scale and longest vector for these two sets.

    Args:
        query: [n, dim].
        gallery: [m, dim].
        cosine: as of `Screen`.
        centered: subtract a common centre; without it vectors of one length keep one length.
    """
    if cosine:
        return Screen(True, np.zeros(gallery.shape[1], np.float32), 1.0, 1.0)
    some = gallery[:: max(1, len(gallery) // _CENTER_ROWS)]  # any centre is a right one
    center = some.mean(axis=0, dtype=np.float64).astype(np.float32)
    if not centered:
        center[:] = 0
    longest_gallery = longest_row(gallery, center)
    longest = max(longest_gallery, longest_row(query, center))
    scale = 1.0 if longest == 0 or 2.0**-20 < longest < 2.0**20 else 2.0 ** -float(np.round(np.log2(longest)))
    return Screen(False, center, scale, longest_gallery * scale * (1 + 2.0**-20))

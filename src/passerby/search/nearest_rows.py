"""The nearest of vectors that come in pieces and are not kept."""

from __future__ import annotations

import numpy as np

from passerby.array_types import Float32, Float64, Int64


class NearestRows:
    """The `top` nearest rows of each probe, ascending by (distance, id), among all pieces that were added.

    Args:
        probes: unit vectors [q, D].
        top: how many are wanted.
    """

    def __init__(self, probes: Float32, top: int) -> None:
        self._probes = probes
        self._top = top
        self._ids = [np.zeros(0, np.int64) for _ in probes]
        self._distances = [np.zeros(0, np.float64) for _ in probes]

    def add(self, ids: Int64, vectors: Float32) -> None:
        """A piece: ids [n] of unit vectors [n, D].

        Products in single precision choose the candidates of a piece; their distances are computed from differences,
        so that equal vectors are at distance 0.
        """
        products = self._probes @ vectors.T
        wanted = min(self._top, len(ids))
        for place, (probe, row) in enumerate(zip(self._probes, products, strict=True)):
            chosen = np.argpartition(-row, wanted - 1)[:wanted] if wanted < len(ids) else np.arange(len(ids))
            apart = vectors[chosen].astype(np.float64) - probe
            distances = np.concatenate([self._distances[place], np.sqrt(np.einsum("ij,ij->i", apart, apart))])
            all_ids = np.concatenate([self._ids[place], ids[chosen]])
            order = np.lexsort((all_ids, distances))[: self._top]
            self._ids[place], self._distances[place] = all_ids[order], distances[order]

    def results(self) -> list[tuple[Int64, Float64]]:
        """For each probe ids and distances, nearest first."""
        return list(zip(self._ids, self._distances, strict=True))

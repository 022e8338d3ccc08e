"""Exact search in memory: one matrix product, a filter, and a selection that touches only what can win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from passerby.gallery.records import Floats, Integers, Score

BLOCK = 65_536
"""Rows of one block of the matrix: it grows block by block, and nothing is ever copied."""
_SEGMENT = 64
NOBODY = -1

Doubles: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Ranked:
    """Identities nearest to one probe, ascending by distance, and the slot of the nearest observation of each."""

    identities: Integers
    distances: Doubles
    slots: Integers
    considered: int


class ExactIndex:
    """Unit vectors by slot, with the identity, camera and time of each; slots may be empty.

    All distances are Euclidean between unit vectors, d = sqrt(2 - 2 cos). The product selects candidates in float32;
    the distances of the candidates are then computed anew from the differences, in float64, so that equal vectors
    are at distance 0 and not at the square root of a rounding error.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.size = 0
        self._blocks: list[Floats] = []
        self.ids: Integers = np.zeros(0, np.int64)
        self.identities: Integers = np.zeros(0, np.int64)
        self.cameras: Integers = np.zeros(0, np.int64)
        self.times: Doubles = np.zeros(0, np.float64)
        self._order: Integers | None = None

    def __len__(self) -> int:
        return int(np.count_nonzero(self.identities[: self.size] != NOBODY))

    def reserve(self, size: int) -> None:
        """Make room for slots 0..size-1; new ones are empty."""
        while len(self._blocks) * BLOCK < size:
            self._blocks.append(np.zeros((BLOCK, self.dim), np.float32))
        if size > len(self.ids):
            room = max(size, 1024, len(self.ids) * 3 // 2)
            self.ids = _grown(self.ids, room, -1)
            self.identities = _grown(self.identities, room, NOBODY)
            self.cameras = _grown(self.cameras, room, -1)
            self.times = _grown(self.times, room, np.nan)
        self.size = max(self.size, size)

    def put_vectors(self, slots: Integers, vectors: Floats) -> None:
        """Write rows; `reserve` first."""
        for block in np.unique(slots // BLOCK):
            here = slots // BLOCK == block
            self._blocks[block][slots[here] % BLOCK] = vectors[here]

    def vectors(self, slots: Integers) -> Floats:
        """Rows of the matrix, [n, D]."""
        out = np.empty((len(slots), self.dim), np.float32)
        for block in np.unique(slots // BLOCK):
            here = slots // BLOCK == block
            out[here] = self._blocks[block][slots[here] % BLOCK]
        return out

    def slots_of(self, ids: Integers) -> Integers:
        """Slots of observation ids, in their order; -1 for an id that is not here."""
        if self._order is None:
            alive = np.flatnonzero(self.alive())
            self._order = alive[np.argsort(self.ids[alive], kind="stable")]
        if not len(self._order):
            return np.full(len(ids), -1, np.int64)
        known = self.ids[self._order]
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[places] == ids, self._order[places], -1)

    def put(self, slots: Integers, ids: Integers, identities: Integers, cameras: Integers, times: Doubles) -> None:
        """Write what is known of the observations in these slots; identity `NOBODY` empties a slot."""
        self.reserve(int(slots.max()) + 1)
        self.ids[slots] = ids
        self.identities[slots] = identities
        self.cameras[slots] = cameras
        self.times[slots] = times
        self._order = None

    def alive(self) -> Mask:
        """Which slots hold an observation."""
        return np.not_equal(self.identities[: self.size], NOBODY)

    def search(self, probes: Floats, masks: Sequence[Mask | None], *, top: int, score: Score) -> list[Ranked]:
        """Rank identities for each probe.

        Args:
            probes: unit vectors [q, D].
            masks: for each probe the slots it may see, bool [size]; None for all that are alive.
            top: number of identities wanted.
            score: how an identity's observations become one distance.
        """
        if self.size == 0:
            return [_nothing() for _ in probes]
        similarities = self._similarities(probes, masks)
        rankings = []
        for row, (probe, mask) in enumerate(zip(probes, masks, strict=True)):
            selection = _Selection(similarities[:, row])
            seen = len(self) if mask is None else int(np.count_nonzero(mask))
            if score.name == "centroid":
                rankings.append(self._by_centroid(probe, mask, top, seen))
            else:
                rankings.append(self._by_nearest(probe, mask, selection, top, score, seen))
        return rankings

    def _similarities(self, probes: Floats, masks: Sequence[Mask | None]) -> Floats:
        """Dot products [blocks, q, width]; -inf where a probe may not look."""
        width = BLOCK if len(self._blocks) > 1 else -(-self.size // _SEGMENT) * _SEGMENT
        used = -(-self.size // BLOCK)
        out = np.empty((used, len(probes), width), np.float32)
        single = len(probes) == 1
        for block in range(used):
            rows = self._blocks[block][:width]
            if single:
                np.dot(rows, probes[0], out=out[block, 0])
            else:
                np.matmul(probes, rows.T, out=out[block])
        biases: dict[int, Floats | None] = {}
        for row, mask in enumerate(masks):
            key = id(mask)
            if key not in biases:
                biases[key] = self._bias(mask, used, width)
            bias = biases[key]
            if bias is not None:
                out[:, row] += bias
        return out

    def _bias(self, mask: Mask | None, blocks: int, width: int) -> Floats | None:
        allowed = self.alive() if mask is None else mask
        if mask is None and blocks * width == self.size and allowed.all():
            return None
        bias = np.full(blocks * width, -np.inf, np.float32)
        bias[: self.size][allowed] = 0
        return bias.reshape(blocks, width)

    def _by_nearest(
        self, probe: Floats, mask: Mask | None, selection: _Selection, top: int, score: Score, seen: int
    ) -> Ranked:
        """`min`, and `mean` by way of `min`: a mean is never below the minimum, which bounds who can still win."""
        wanted = 4 * top + 32
        while True:
            slots = selection.largest(wanted)
            distances = self._distances(probe, slots)
            ranking = self._group(slots, distances, seen)
            exhausted = len(slots) >= seen
            if score.name == "mean":
                bound = float(distances.max(initial=0.0))
                ranking = self._means(probe, mask, ranking, score.k, seen)
                if exhausted or (len(ranking.distances) >= top and ranking.distances[top - 1] <= bound):
                    return _cut(ranking, top)
            elif exhausted or len(ranking.identities) >= top:
                return _cut(ranking, top)
            wanted *= 4

    def _distances(self, probe: Floats, slots: Integers) -> Doubles:
        difference = self.vectors(slots).astype(np.float64) - probe.astype(np.float64)
        distances: Doubles = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distances

    def _group(self, slots: Integers, distances: Doubles, seen: int) -> Ranked:
        """Nearest observation of each identity, ascending by (distance, observation id)."""
        order = np.lexsort((self.ids[slots], distances))
        slots, distances = slots[order], distances[order]
        _, first = np.unique(self.identities[slots], return_index=True)
        first.sort()
        slots = slots[first]
        return Ranked(self.identities[slots], distances[first], slots, seen)

    def _means(self, probe: Floats, mask: Mask | None, ranking: Ranked, k: int, seen: int) -> Ranked:
        allowed = self.alive() if mask is None else mask
        slots = np.flatnonzero(allowed & np.isin(self.identities[: self.size], ranking.identities))
        distances = self._distances(probe, slots)
        owners = self.identities[slots]
        order = np.lexsort((distances, owners))
        owners, distances = owners[order], distances[order]
        names, starts, counts = np.unique(owners, return_index=True, return_counts=True)
        within = np.arange(len(owners)) - np.repeat(starts, counts)
        kept = within < k
        totals = np.add.reduceat(np.where(kept, distances, 0.0), starts)
        means: Doubles = totals / np.minimum(counts, k)
        by_identity: Doubles = means[np.searchsorted(names, ranking.identities)]
        order = np.lexsort((self.ids[ranking.slots], by_identity))
        return Ranked(ranking.identities[order], by_identity[order], ranking.slots[order], seen)

    def _by_centroid(self, probe: Floats, mask: Mask | None, top: int, seen: int) -> Ranked:
        slots = np.flatnonzero(self.alive() if mask is None else mask)
        if not len(slots):
            return _nothing()
        names, owners = np.unique(self.identities[slots], return_inverse=True)
        sums = np.zeros((len(names), self.dim), np.float64)
        for start in range(0, len(slots), BLOCK):
            part = slots[start : start + BLOCK]
            order = np.argsort(owners[start : start + BLOCK], kind="stable")
            sorted_owners = owners[start : start + BLOCK][order]
            firsts = np.flatnonzero(np.r_[True, np.diff(sorted_owners) > 0])
            sums[sorted_owners[firsts]] += np.add.reduceat(self.vectors(part[order]), firsts, axis=0, dtype=np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        sums /= np.maximum(norms, 1e-12)[:, None]
        difference = sums - probe
        distances: Doubles = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        best = np.lexsort((names, distances))[:top]
        nearest: list[int] = []
        for identity in names[best]:
            own = slots[self.identities[slots] == identity]
            own_distances = self._distances(probe, own)
            nearest.append(int(own[np.lexsort((self.ids[own], own_distances))[0]]))
        return Ranked(names[best], distances[best], np.array(nearest, np.int64), seen)


class _Selection:
    """The largest values of one probe's similarities [blocks, width], found by way of the maxima of short segments.

    The m segments with the largest maxima contain the m largest values, so a full partition is not needed.
    """

    def __init__(self, values: Floats) -> None:
        self._width = values.shape[1]
        self._segments = values.reshape(values.shape[0], -1, _SEGMENT)
        self._maxima: Floats = self._segments.max(axis=2).ravel()

    def largest(self, count: int) -> Integers:
        """Slots of the `count` largest values and of those equal to the last of them, in no order; never -inf."""
        per_block = self._width // _SEGMENT
        segments = _at_least(self._maxima, count)
        values = self._segments[segments // per_block, segments % per_block]
        slots = segments[:, None] * _SEGMENT + np.arange(_SEGMENT)
        chosen = _at_least(values.ravel(), count)
        return np.asarray(slots.ravel()[chosen], np.int64)


def _at_least(values: Floats, count: int) -> Integers:
    """Positions of values that reach the count-th largest, and are not -inf."""
    limit = -np.inf if count >= len(values) else float(np.partition(values, len(values) - count)[len(values) - count])
    return np.flatnonzero(values >= limit) if limit > -np.inf else np.flatnonzero(values > -np.inf)


def _cut(ranking: Ranked, top: int) -> Ranked:
    return Ranked(ranking.identities[:top], ranking.distances[:top], ranking.slots[:top], ranking.considered)


def _nothing() -> Ranked:
    return Ranked(np.zeros(0, np.int64), np.zeros(0, np.float64), np.zeros(0, np.int64), 0)


def _grown(array: npt.NDArray[T], size: int, fill: float) -> npt.NDArray[T]:
    out = np.full(size, fill, array.dtype)
    out[: len(array)] = array
    return out

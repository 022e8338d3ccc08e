"""Exact search in memory: one matrix product, a filter, and a selection that touches only what can win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.search.camera_offsets import CameraOffsets
from passerby.search.index_groups import SlotGroups, group_slots, mean_of_nearest, ranges
from passerby.search.partial_sort import SEGMENT, Selection, smallest
from passerby.search.score import Score

BLOCK = 262_144
"""Rows of one block of the matrix: it grows block by block, and nothing is ever copied."""
_PRODUCT = 2**26
"""Numbers of one product that are held at a time (256 MiB); more probes are searched in turns."""
_MARGIN = 16  # identities beyond those asked for that are looked at exactly, since float32 may confuse near ties
_REMEMBERED = 16
_CHUNK = 16_384  # vectors that are summed at a time
_SHORTEST = 1e-12  # a sum of vectors that cancel out is not divided by zero
NOBODY = -1
_PENALTY = np.array([-np.inf, 0.0], np.float32)  # of a slot that a filter hides, and of one that it shows

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Ranked:
    """Identities nearest to one probe, ascending by distance, and the slot of the nearest observation of each."""

    identities: Int64
    distances: Float64
    slots: Int64
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
        self._blocks: list[Float32] = []
        self.ids: Int64 = np.zeros(0, np.int64)
        self.identities: Int64 = np.zeros(0, np.int64)
        self.cameras: Int64 = np.zeros(0, np.int64)
        self.times: Float64 = np.zeros(0, np.float64)
        self._order: Int64 | None = None
        self._alive: Bool | None = None
        self._owners: SlotGroups | None = None
        self._lengths: Float64 = np.zeros(0, np.float64)  # of each identity's summed vectors; NaN: not computed
        self._offsets: CameraOffsets | None = None
        self._scales: Float32 = np.zeros(0, np.float32)  # of mapped vectors; NaN: not computed
        self._centroids: dict[int, _Centroids] = {}

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive()))

    def reserve(self, size: int) -> None:
        """Reserve slots 0..size-1; new ones are empty."""
        while len(self._blocks) * BLOCK < size:
            self._blocks.append(np.zeros((BLOCK, self.dim), np.float32))
        if size > len(self.ids):
            reserved = max(size, 1024, len(self.ids) * 3 // 2)
            self.ids = _grown(self.ids, reserved, -1)
            self.identities = _grown(self.identities, reserved, NOBODY)
            self.cameras = _grown(self.cameras, reserved, -1)
            self.times = _grown(self.times, reserved, np.nan)
        self.size = max(self.size, size)

    def put_vectors(self, slots: Int64, vectors: Float32) -> None:
        """Write rows; `reserve` first."""
        self._changed(slots)
        first, last = int(slots[0]), int(slots[-1])
        if first // BLOCK == last // BLOCK and last - first == len(slots) - 1 and np.all(np.diff(slots) == 1):
            self._blocks[first // BLOCK][first % BLOCK : first % BLOCK + len(slots)] = vectors
        else:
            for block in np.unique(slots // BLOCK):
                here = slots // BLOCK == block
                self._blocks[block][slots[here] % BLOCK] = vectors[here]

    def rows(self, first: int, end: int) -> Float32:
        """The rows of slots within one block, to be written to before they belong to anybody, [end - first, D]."""
        return self._blocks[first // BLOCK][first % BLOCK : first % BLOCK + end - first]

    def _changed(self, slots: Int64) -> None:
        """Drop what was derived; of the lengths, those of the identities that these slots belong to."""
        self._order = None
        self._alive = None
        self._owners = None
        self._centroids.clear()
        self._scales[slots[slots < len(self._scales)]] = np.nan
        touched = self.identities[slots]
        self._lengths[touched[(touched != NOBODY) & (touched < len(self._lengths))]] = np.nan

    def vectors(self, slots: Int64) -> Float32:
        """Rows of the matrix, [n, D]."""
        out = np.empty((len(slots), self.dim), np.float32)
        for block in np.unique(slots // BLOCK):
            here = slots // BLOCK == block
            out[here] = self._blocks[block][slots[here] % BLOCK]
        return out

    def subtract(self, offsets: CameraOffsets | None) -> None:
        """Compare vectors from now on without what their cameras add; probes come mapped. None: as they are."""
        self._offsets = offsets
        self._scales = np.zeros(0, np.float32)
        self._lengths[:] = np.nan
        self._centroids.clear()

    def _compared(self, slots: Int64) -> Float32:
        """Rows of the matrix as they are compared, [n, D]."""
        rows = self.vectors(slots)
        return rows if self._offsets is None else self._offsets.apply(rows, self.cameras[slots])

    def slots_of(self, ids: Int64) -> Int64:
        """Slots of observation ids, in their order; -1 for an id that is not here."""
        if self._order is None:
            alive = np.flatnonzero(self.alive())
            self._order = alive[np.argsort(self.ids[alive], kind="stable")]
        if not len(self._order):
            return np.full(len(ids), -1, np.int64)
        known = self.ids[self._order]
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[places] == ids, self._order[places], -1)

    def put(self, slots: Int64, ids: Int64, identities: Int64, cameras: Int64, times: Float64) -> None:
        """Write what is known of the observations in these slots; identity `NOBODY` empties a slot."""
        self.reserve(int(slots.max()) + 1)
        self._changed(slots)
        self.ids[slots] = ids
        self.identities[slots] = identities
        self.cameras[slots] = cameras
        self.times[slots] = times
        self._changed(slots)

    def alive(self) -> Bool:
        """Which slots hold an observation; not to be written to."""
        if self._alive is None:
            self._alive = np.not_equal(self.identities[: self.size], NOBODY)
        return self._alive

    def search(self, probes: Float32, masks: Sequence[Bool | None], *, top: int, score: Score) -> list[Ranked]:
        """Rank identities for each probe.

        Args:
            probes: unit vectors [q, D].
            masks: for each probe the slots it may see, bool [size]; None for all that are alive.
            top: number of identities wanted.
            score: how an identity's observations become one distance.
        """
        if self.size == 0:
            return [_nothing() for _ in probes]
        everyone = self.alive()
        allowed = [everyone if mask is None else mask for mask in masks]
        seen = {id(mask): int(np.count_nonzero(mask)) for mask in allowed}
        ranked: list[Ranked] = []
        together = max(1, _PRODUCT // self.size)
        for start in range(0, len(probes), together):
            part, part_allowed = probes[start : start + together], allowed[start : start + together]
            similarities = self._similarities(part, part_allowed, seen)
            ranked += [
                self._rank(probe, similarities[:, row], mask, seen[id(mask)], top, score)
                for row, (probe, mask) in enumerate(zip(part, part_allowed, strict=True))
            ]
        return ranked

    def _similarities(self, probes: Float32, allowed: Sequence[Bool], seen: dict[int, int]) -> Float32:
        """Dot products [blocks, q, width]; -inf where a probe may not look.

        A filter is added as 0 or -inf: unlike a masked copy that has no branch to mispredict, and costs a hundredth
        of the product.
        """
        used = -(-self.size // BLOCK)
        width = BLOCK if used > 1 else -(-self.size // SEGMENT) * SEGMENT
        out = np.empty((used, len(probes), width), np.float32)
        for block in range(used):
            rows = self._blocks[block][: min(width, self.size - block * BLOCK)]
            if len(probes) == 1:
                np.dot(rows, probes[0], out=out[block, 0, : len(rows)])
            else:
                np.matmul(probes, rows.T, out=out[block, :, : len(rows)])
            if self._offsets is not None:
                self._map_products(self._offsets, out[block, :, : len(rows)], probes, block * BLOCK)
            out[block, :, len(rows) :] = -np.inf
        penalties: dict[int, Float32] = {}
        for row, mask in enumerate(allowed):
            if seen[id(mask)] == self.size:
                continue
            if id(mask) not in penalties:
                padded = np.zeros(used * width, np.float32)
                np.take(_PENALTY, mask.view(np.uint8), out=padded[: self.size], mode="clip")
                penalties[id(mask)] = padded.reshape(used, width)
            out[:, row] += penalties[id(mask)]
        return out

    def _map_products(self, offsets: CameraOffsets, products: Float32, probes: Float32, first: int) -> None:
        """From products [q, n] with the vectors from slot `first` on to those with the mapped vectors, in place.

        p (x - o) / |x - o| = (p x - p o) / |x - o|
        """
        slots = slice(first, first + products.shape[1])
        products -= (probes @ offsets.offsets.T)[:, offsets.rows(self.cameras[slots])]
        products *= self._known_scales(offsets)[slots]

    def _known_scales(self, offsets: CameraOffsets) -> Float32:
        """1 / |x - o| of each slot; only those of changed slots are computed anew."""
        if len(self._scales) < self.size:
            self._scales = _grown(self._scales, len(self.ids), np.nan)
        for start in range(0, self.size, _CHUNK):
            part = np.arange(start, min(start + _CHUNK, self.size))
            missing = part[np.isnan(self._scales[part])]
            if len(missing):
                self._scales[missing] = offsets.scales(self.vectors(missing), self.cameras[missing])
        return self._scales

    def _rank(self, probe: Float32, similarities: Float32, mask: Bool, seen: int, top: int, score: Score) -> Ranked:
        if not seen:
            return _nothing()
        if score.name == "centroid":
            return self._by_centroid(probe, similarities, mask, top, seen)
        selection = Selection(similarities)
        wanted = 4 * top + 32
        while True:
            slots = selection.largest(wanted)
            nearest = self._group(slots, self._distances(probe, slots), seen)
            exhausted = len(slots) >= seen
            if score.name == "min":
                if exhausted or len(nearest.identities) >= top:
                    return _cut(nearest, top)
            else:
                # a mean is never below its identity's minimum: who is not among `slots` cannot be below their last
                limit = np.inf if exhausted else float(_distance(similarities.reshape(-1)[slots]).max())
                ranked = self._by_mean(probe, similarities, mask, nearest, top, score.k)
                if exhausted or (len(ranked.distances) >= top and ranked.distances[top - 1] <= limit):
                    return _cut(ranked, top)
            wanted *= 4

    def _distances(self, probe: Float32, slots: Int64) -> Float64:
        difference = self._compared(slots).astype(np.float64) - probe.astype(np.float64)
        distances: Float64 = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distances

    def _group(self, slots: Int64, distances: Float64, seen: int) -> Ranked:
        """Nearest observation of each identity, ascending by (distance, observation id)."""
        order = np.lexsort((self.ids[slots], distances))
        slots, distances = slots[order], distances[order]
        _, first = np.unique(self.identities[slots], return_index=True)
        first.sort()
        slots = slots[first]
        return Ranked(self.identities[slots], distances[first], slots, seen)

    def _by_mean(self, probe: Float32, similarities: Float32, mask: Bool, nearest: Ranked, top: int, k: int) -> Ranked:
        """Rank the identities of `nearest` by the mean of their k nearest observations."""
        places = np.argsort(nearest.identities)
        slots = self._slots_of_identities(mask, nearest.identities)
        rough = mean_of_nearest(self.identities[slots], _distance(similarities.reshape(-1)[slots]), k)
        # the means of float32 similarities choose who is worth an exact look
        chosen = np.sort(smallest(rough, top + _MARGIN))
        places = places[chosen]
        slots = self._slots_of_identities(mask, nearest.identities[places])
        means = mean_of_nearest(self.identities[slots], self._distances(probe, slots), k)
        order = np.lexsort((self.ids[nearest.slots[places]], means))
        places, means = places[order], means[order]
        return Ranked(nearest.identities[places], means, nearest.slots[places], nearest.considered)

    def _slots_of_identities(self, mask: Bool, identities: Int64) -> Int64:
        """Slots of these identities that pass the filter, identity by identity."""
        owners = self._by_owner()
        slots = owners.slots[ranges(*owners.spans(identities))]
        return slots[mask[slots]]

    def _by_owner(self) -> SlotGroups:
        if self._owners is None:
            alive = np.flatnonzero(self.alive())
            self._owners = group_slots(alive[np.argsort(self.identities[alive], kind="stable")], self.identities)
        return self._owners

    def _by_centroid(self, probe: Float32, similarities: Float32, mask: Bool, top: int, seen: int) -> Ranked:
        centroids = self._centroids_of(mask)
        owners = centroids.owners
        sums = np.add.reduceat(similarities.reshape(-1)[owners.slots], owners.starts, dtype=np.float64)
        rough = -sums / centroids.lengths
        chosen = smallest(rough, top + _MARGIN)
        distances = np.empty(len(chosen))
        nearest = np.empty(len(chosen), np.int64)
        for place, (start, end) in enumerate(zip(*owners.spans(owners.names[chosen]), strict=True)):
            own = owners.slots[start:end]
            vectors = self._compared(own).astype(np.float64)
            mean = vectors.sum(axis=0)
            mean /= max(float(np.sqrt(mean @ mean)), _SHORTEST)
            distances[place] = np.sqrt(((mean - probe) ** 2).sum())
            nearest[place] = own[np.lexsort((self.ids[own], self._distances(probe, own)))[0]]
        order = np.lexsort((owners.names[chosen], distances))
        return _cut(Ranked(owners.names[chosen][order], distances[order], nearest[order], seen), top)

    def _centroids_of(self, mask: Bool) -> _Centroids:
        """Lengths of the summed vectors of each identity under a filter, remembered until something changes.

        Without a filter only the lengths of the identities that changed are computed anew.
        """
        known = self._centroids.get(id(mask))
        if known is not None and known.mask is mask:
            return known
        owners = self._by_owner()
        if mask is self._alive:
            if len(owners.names) and owners.names[-1] >= len(self._lengths):
                self._lengths = _grown(self._lengths, int(owners.names[-1]) * 5 // 4 + 1, np.nan)
            missing = owners.names[np.isnan(self._lengths[owners.names])]
            if len(missing):
                slots = owners.slots[ranges(*owners.spans(missing))]
                self._lengths[missing] = self._sum_lengths(group_slots(slots, self.identities))
            lengths = self._lengths[owners.names]
        else:
            owners = group_slots(owners.slots[mask[owners.slots]], self.identities)
            lengths = self._sum_lengths(owners)
        if len(self._centroids) >= _REMEMBERED:
            self._centroids.clear()
        found = _Centroids(mask, owners, lengths)
        self._centroids[id(mask)] = found
        return found

    def _sum_lengths(self, owners: SlotGroups) -> Float64:
        """Lengths of the sums of the vectors of each owner, in float64, some thousands of vectors at a time."""
        squares = np.empty(len(owners.names), np.float64)
        bounds = np.r_[owners.starts, len(owners.slots)]
        first = 0
        while first < len(squares):
            last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + _CHUNK, side="right")) - 1)
            rows = self._compared(owners.slots[bounds[first] : bounds[last]])
            sums = np.add.reduceat(rows, bounds[first:last] - bounds[first], axis=0, dtype=np.float64)
            squares[first:last] = np.einsum("ij,ij->i", sums, sums)
            first = last
        return np.maximum(np.sqrt(squares), _SHORTEST)


@dataclass(frozen=True)
class _Centroids:
    """Admissible slots identity by identity, and the length of each identity's summed vectors."""

    mask: Bool
    owners: SlotGroups
    lengths: Float64


def _distance(similarities: Float32) -> Float64:
    """Euclidean distance of unit vectors from their dot product, to float32's precision."""
    return np.sqrt(np.maximum(2.0 - 2.0 * similarities.astype(np.float64), 0.0))


def _cut(ranking: Ranked, top: int) -> Ranked:
    return Ranked(ranking.identities[:top], ranking.distances[:top], ranking.slots[:top], ranking.considered)


def _nothing() -> Ranked:
    return Ranked(np.zeros(0, np.int64), np.zeros(0, np.float64), np.zeros(0, np.int64), 0)


def _grown(array: npt.NDArray[T], size: int, fill: float) -> npt.NDArray[T]:
    out = np.full(size, fill, array.dtype)
    out[: len(array)] = array
    return out

"""Each observation's nearest and second-nearest other identity, kept up to date while identities come and go.

Two are kept, so that when the nearest identity is erased the second takes its place without a new search; enrolling
compares the new vectors alone. `depth` says how many of the two are certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.evaluation.inputs import as_cameras
from passerby.search import arrays
from passerby.search.exact_keys import exact_keys
from passerby.search.relevance import METRICS

_TILE = 2**22  # distances that are held at once
_COLUMNS = 16384  # enrolled vectors of a tile; an identity with more of them makes a longer one
_MANY = 2**26  # pairs from which on most are only screened
_FIRST = 4096  # enrolled vectors among which all are looked at, so that there are distances to screen by


@dataclass(frozen=True)
class LabelledVectors:
    """Vectors, whose they are and which camera took them.

    Attributes:
        vectors: float32 [n, dim].
        identities: int64 [n], 0 or more.
        cameras: int64 [n], -1 where unknown.

    Raises:
        EmbeddingError: parts of different lengths, NaN vectors, labels that are not integers, a negative identity.
    """

    vectors: Float32
    identities: Int64
    cameras: Int64

    def __post_init__(self) -> None:
        vectors = self.vectors if self._is_empty() else arrays.as_vectors(self.vectors, "vectors")
        n = len(vectors)
        identities = arrays.as_labels(self.identities, n, "identities", "vectors")
        if n and identities.min() < 0:
            raise EmbeddingError(f"identities: expected numbers of 0 or more, found {identities.min()}")
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "identities", identities)
        object.__setattr__(self, "cameras", as_cameras(self.cameras, n, "cameras", "vectors"))

    def _is_empty(self) -> bool:
        return isinstance(self.vectors, np.ndarray) and self.vectors.ndim == 2 and len(self.vectors) == 0

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, rows: Bool | Int64) -> LabelledVectors:
        """The rows where a boolean mask [n] is true, or the rows of an index array, in that order."""
        return LabelledVectors(self.vectors[rows], self.identities[rows], self.cameras[rows])


@dataclass(frozen=True)
class NearestIdentities:
    """The two nearest other identities of each observation.

    Attributes:
        distances: float64 [n, 2], ascending; infinity where there is no such identity.
        identities: int64 [n, 2], -1 where there is none.
        depth: int64 [n]: 2 where both are certain, 1 where only the nearest is, 0 where a new search is needed.
    """

    distances: Float64
    identities: Int64
    depth: Int64

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def stale(self) -> Bool:
        """Observations whose nearest identity is not known any more, [n]; search them again."""
        return np.asarray(self.depth == 0)

    def select(self, rows: Bool | Int64) -> NearestIdentities:
        """The observations where a boolean mask is true, or those of an index array."""
        return NearestIdentities(self.distances[rows], self.identities[rows], self.depth[rows])

    def replace(self, rows: Bool | Int64, found: NearestIdentities) -> NearestIdentities:
        """A copy with some observations searched again."""
        columns = (self.distances.copy(), self.identities.copy(), self.depth.copy())
        for column, new in zip(columns, (found.distances, found.identities, found.depth), strict=True):
            column[rows] = new
        return NearestIdentities(*columns)

    def append(self, other: NearestIdentities) -> NearestIdentities:
        """The observations of both, one after the other."""
        return NearestIdentities(
            np.concatenate([self.distances, other.distances]),
            np.concatenate([self.identities, other.identities]),
            np.concatenate([self.depth, other.depth]),
        )

    def with_enrolled(
        self, observations: LabelledVectors, enrolled: LabelledVectors, *, metric: str, exclude_camera: bool
    ) -> NearestIdentities:
        """After more vectors were enrolled, of new identities or of known ones.

        Args:
            observations: those that this is about, [n].
            enrolled: the new vectors alone.
            metric: as in the search.
            exclude_camera: as in the search.
        """
        certain_to = np.where(self.depth >= 2, self.distances[:, 1], np.inf)
        new = search_nearest_identities(
            observations, enrolled, metric=metric, exclude_camera=exclude_camera, within=certain_to
        )
        keep = np.arange(2) < self.depth[:, None]
        # up to the last certain distance nothing is missing; beyond it an erased search result may have been nearer
        limit = np.where(self.depth >= 2, np.inf, np.where(self.depth == 1, self.distances[:, 0], -np.inf))
        distances = np.concatenate([np.where(keep, self.distances, np.inf), new.distances], axis=1)
        identities = np.concatenate([np.where(keep, self.identities, -1), new.identities], axis=1)
        merged = _two_nearest(distances, identities)
        certain = (merged.distances <= limit[:, None]).sum(axis=1)
        return NearestIdentities(merged.distances, merged.identities, np.where(self.depth >= 2, 2, certain))

    def without(self, identities: Sequence[int] | Int64) -> NearestIdentities:
        """After identities were erased: the next one takes their place, and `depth` falls.

        The erased identities' own observations are to be left out by `select`.
        """
        gone = np.isin(self.identities, np.asarray(identities, dtype=np.int64)) & (np.arange(2) < self.depth[:, None])
        first, second = gone[:, 0], gone[:, 1]
        distances, ids = self.distances.copy(), self.identities.copy()
        distances[first, 0], ids[first, 0] = distances[first, 1], ids[first, 1]
        lost = first | second
        distances[lost, 1], ids[lost, 1] = np.inf, -1
        both = first & second
        distances[both, 0], ids[both, 0] = np.inf, -1
        return NearestIdentities(distances, ids, self.depth - first - second)


def search_nearest_identities(
    observations: LabelledVectors,
    enrolled: LabelledVectors,
    *,
    metric: str = "euclidean",
    exclude_camera: bool = True,
    within: Float64 | None = None,
) -> NearestIdentities:
    """The two nearest identities of each observation, its own left out.

    Args:
        observations: [n].
        enrolled: whom they are compared with, [m]; the observations themselves may be among them.
        metric: "euclidean" or "cosine".
        exclude_camera: also leave out what the observation's own camera took (a camera -1 is nobody's own).
        within: distances beyond which nothing needs to be found, [n]; None: no bound.

    Raises:
        ConfigError: an unknown metric.
        EmbeddingError: vectors of different lengths.
    """
    if metric not in METRICS:
        raise ConfigError(unknown_name("metric", metric, METRICS))
    n = len(observations)
    distances, identities = np.full((n, 2), np.inf), np.full((n, 2), -1, dtype=np.int64)
    if n and len(enrolled):
        arrays.check_same_dim(observations.vectors, enrolled.vectors, "observations", "enrolled")
        cosine = metric == "cosine"
        if n * len(enrolled) < _MANY or len(enrolled) < 2 * _FIRST:
            _search(observations, enrolled, cosine, exclude_camera, distances, identities)
        else:
            bound = np.full(n, np.inf) if within is None else within
            _search_many(observations, enrolled, cosine, exclude_camera, distances, identities, bound)
    return NearestIdentities(distances, identities, np.full(n, 2, dtype=np.int64))


def _search(
    observations: LabelledVectors,
    enrolled: LabelledVectors,
    cosine: bool,
    exclude_camera: bool,
    distances: Float64,
    identities: Int64,
) -> None:
    # stable, so that where the identities ascend already nothing moves
    order = np.argsort(enrolled.identities, kind="stable")
    in_order = bool((np.diff(enrolled.identities) >= 0).all())
    people, starts = np.unique(enrolled.identities[order], return_index=True)
    bounds = np.append(starts, len(order))
    probe, _ = _prepared(observations.vectors, cosine)
    for first, last in _tiles(bounds):
        rows = order[bounds[first] : bounds[last]]
        part_of = enrolled.vectors[bounds[first] : bounds[last]] if in_order else enrolled.vectors[rows]
        vectors, squared = _prepared(part_of, cosine)
        step = max(1, _TILE // len(rows))
        for top in range(0, len(probe), step):
            part = slice(top, min(top + step, len(probe)))
            # smaller is nearer, and the probe's own length moves nothing
            keys = squared - 2.0 * (probe[part] @ vectors.T)
            if exclude_camera:
                own = observations.cameras[part]
                keys[(own[:, None] == enrolled.cameras[rows]) & (own[:, None] >= 0)] = np.inf
            chosen = _two_in_tile(
                keys, bounds[first : last + 1] - bounds[first], people[first:last], observations, part
            )
            found = _exact(observations.vectors, enrolled.vectors, part, chosen, rows, cosine)
            labels = np.where(chosen >= 0, enrolled.identities[rows[np.maximum(chosen, 0)]], -1)
            both = _two_nearest(
                np.concatenate([distances[part], found], axis=1), np.concatenate([identities[part], labels], axis=1)
            )
            distances[part], identities[part] = both.distances, both.identities


def _search_many(
    observations: LabelledVectors,
    enrolled: LabelledVectors,
    cosine: bool,
    exclude_camera: bool,
    distances: Float64,
    identities: Int64,
    within: Float64,
) -> None:
    """Where there is nothing to screen by yet, a few of the vectors are searched first."""
    from passerby.evaluation.open_set.screened_search import search_screened  # needs numba

    unbounded = np.flatnonzero(np.isinf(within))
    if len(unbounded):
        few = enrolled.select(np.arange(0, len(enrolled), len(enrolled) // _FIRST))
        found = np.full((len(unbounded), 2), np.inf), np.full((len(unbounded), 2), -1, dtype=np.int64)
        _search(observations.select(unbounded), few, cosine, exclude_camera, *found)
        distances[unbounded], identities[unbounded] = found
    search_screened(
        (observations.vectors, enrolled.vectors),
        (observations.identities, enrolled.identities),
        (observations.cameras, enrolled.cameras) if exclude_camera else None,
        within,
        cosine=cosine,
        nearest=(distances, identities),
    )


def _prepared(vectors: Float32, cosine: bool) -> tuple[Float32, Float32]:
    """Vectors whose products give the order of distances, and their squared lengths."""
    squared = np.einsum("ij,ij->i", vectors, vectors)
    if not cosine:
        return vectors, squared
    lengths = np.sqrt(squared)
    scaled = vectors / np.where(lengths > 0, lengths, np.float32(1))[:, None]
    return scaled.astype(np.float32, copy=False), np.zeros_like(squared)


def _tiles(bounds: Int64) -> list[tuple[int, int]]:
    """Runs of identities with about `_COLUMNS` vectors; bounds[i] is where identity i starts."""
    tiles, first = [], 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + _COLUMNS, side="right")) - 1
        tiles.append((first, max(last, first + 1)))
        first = tiles[-1][1]
    return tiles


def _two_in_tile(keys: Float32, bounds: Int64, people: Int64, observations: LabelledVectors, part: slice) -> Int64:
    """Columns of the nearest vector of the two nearest identities, [rows, 2]; -1 where there is none."""
    best = np.minimum.reduceat(keys, bounds[:-1], axis=1)
    own = np.searchsorted(people, observations.identities[part])
    mine = np.minimum(own, len(people) - 1)
    hit = people[mine] == observations.identities[part]
    best[np.flatnonzero(hit), mine[hit]] = np.inf
    chosen = np.full((len(best), 2), -1, dtype=np.int64)
    for place in range(min(2, len(people))):
        nearest = np.argmin(best, axis=1)
        there = np.isfinite(best[np.arange(len(best)), nearest])
        rows = np.flatnonzero(there)
        start, end = bounds[nearest[rows]], bounds[nearest[rows] + 1]
        columns = start[:, None] + np.arange(int((end - start).max(initial=1)))
        inside = columns < end[:, None]
        own_keys = np.where(inside, keys[rows[:, None], np.where(inside, columns, start[:, None])], np.inf)
        chosen[rows, place] = start + np.argmin(own_keys, axis=1)
        best[np.arange(len(best)), nearest] = np.inf
    return chosen


def _exact(probes: Float32, enrolled: Float32, part: slice, chosen: Int64, rows: Int64, cosine: bool) -> Float64:
    """Distances of the chosen pairs in float64; infinity where there is none."""
    found = np.full(chosen.shape, np.inf)
    row, place = np.nonzero(chosen >= 0)
    keys = exact_keys(probes, enrolled, row + part.start, rows[chosen[row, place]], cosine)
    found[row, place] = keys if cosine else np.sqrt(keys)
    return found


def _two_nearest(distances: Float64, identities: Int64) -> NearestIdentities:
    """The two nearest of several candidates each [n, k]; of one identity only its nearest counts."""
    order = np.lexsort((identities, distances), axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    identities = np.take_along_axis(identities, order, axis=1)
    other = (identities != identities[:, :1]) & (identities >= 0)
    column = np.where(other.any(axis=1), np.argmax(other, axis=1), -1)
    rows = np.arange(len(column))
    second = np.where(column >= 0, distances[rows, column], np.inf)
    second_identity = np.where(column >= 0, identities[rows, column], -1)
    return NearestIdentities(
        np.stack([distances[:, 0], second], axis=1),
        np.stack([identities[:, 0], second_identity], axis=1),
        np.full(len(column), 2, dtype=np.int64),
    )

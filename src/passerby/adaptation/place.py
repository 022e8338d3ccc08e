"""The crops of a place: what is known of them without labels, and which of them cannot be one person."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.data.records import Sample
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.pooling import group_rows, pool
from passerby.errors import DataError

SMALLEST = 64
"""Crops below which nothing can be learnt."""


@dataclass(frozen=True, eq=False)
class Place:
    """Crops without identities.

    Attributes:
        samples: the crops; their person ids are never read.
        units: int64 [crops], which unit each crop belongs to: its tracklet, or itself.
        cannot: int64 [pairs, 2], units that cannot be one person: tracklets of one camera that overlap in time.
    """

    samples: tuple[Sample, ...]
    units: Int64
    cannot: Int64

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def has_tracklets(self) -> bool:
        """Whether any unit holds several crops."""
        return bool(self.units.max() + 1 < len(self.units))

    def digest(self) -> str:
        """Short hash of file names, cameras, times and tracklets."""
        content = hashlib.sha256()
        for s in self.samples:
            content.update(f"{s.path.name}\0{s.camid}\0{s.time}\0{s.tracklet}\n".encode())
        return content.hexdigest()[:16]

    def select(self, rows: Int64) -> Place:
        """Some crops alone, with the links among their units."""
        units, numbers = np.unique(self.units[rows], return_inverse=True)
        place = np.full(int(self.units.max()) + 1, -1, np.int64)
        place[units] = np.arange(len(units))
        cannot = place[self.cannot]
        return Place(
            tuple(self.samples[row] for row in rows.tolist()),
            numbers.reshape(-1).astype(np.int64),
            cannot[(cannot >= 0).all(axis=1)].reshape(-1, 2),
        )

    def of_units(self, labels: Int64) -> Int64:
        """Labels of crops [crops] as labels of their units [units]."""
        result = np.empty(int(self.units.max()) + 1, np.int64)
        result[self.units] = labels
        return result

    def by_unit(self, embeddings: Embeddings) -> Embeddings:
        """One unit vector for each unit, the mean of its crops; without identities."""
        vectors, camids = embeddings.vectors, embeddings.camids
        if self.has_tracklets:
            groups = group_rows(self.units)
            vectors, camids = _unit(pool(vectors, groups, "mean")), camids[groups.first]
        return Embeddings(vectors, np.zeros(len(vectors), np.int64), camids, fingerprint=embeddings.fingerprint)


def place_of(samples: Sequence[Sample]) -> Place:
    """What is known of crops.

    Args:
        samples: crops with cameras and, where known, times and tracklets; their person ids are not read.

    Raises:
        DataError: too few crops, a tracklet of several cameras, or something else than crops.
    """
    if not isinstance(samples, Sequence) or not all(isinstance(s, Sample) for s in samples):
        raise DataError(
            f"adaptation: expected samples, such as read_crops(FOLDER).samples, found {type(samples).__name__}"
            + (f" of {type(samples[0]).__name__}" if isinstance(samples, list | tuple) else "")
        )
    if len(samples) < SMALLEST:
        raise DataError(f"adaptation: expected at least {SMALLEST} crops of the place, found {len(samples)}")
    nameless = tuple(replace(s, pid=0) for s in samples)
    camids = np.array([s.camid for s in nameless], np.int64)
    tracklets = np.array([-1 if s.tracklet is None else s.tracklet for s in nameless], np.int64)
    alone = np.where(tracklets < 0, np.arange(len(tracklets)), -1)
    groups = group_rows(tracklets, alone)
    units = np.empty(len(nameless), np.int64)
    units[groups.order] = np.repeat(np.arange(len(groups.first)), np.diff(np.append(groups.starts, len(nameless))))
    mixed = camids != camids[groups.first][units]
    if mixed.any():
        row = int(np.argmax(mixed))
        raise DataError(
            f"{nameless[row].path}: tracklet {tracklets[row]} has crops of several cameras; a tracklet is one person "
            "seen by one camera"
        )
    times = np.array([np.nan if s.time is None else s.time for s in nameless])
    return Place(nameless, units, _simultaneous(units, camids[groups.first], times, tracklets[groups.first] >= 0))


def _simultaneous(units: Int64, cameras: Int64, times: Float64, tracked: np.ndarray) -> Int64:
    """Pairs of tracklets of one camera that overlap in time."""
    n = len(cameras)
    start, end = np.full(n, np.inf), np.full(n, -np.inf)
    known = ~np.isnan(times)
    np.minimum.at(start, units[known], times[known])
    np.maximum.at(end, units[known], times[known])
    pairs: list[tuple[int, int]] = []
    for camera in np.unique(cameras[cameras >= 0]):
        rows = np.flatnonzero((cameras == camera) & tracked & np.isfinite(start))
        rows = rows[np.argsort(start[rows], kind="stable")]
        present: list[int] = []
        for row in rows.tolist():
            present = [other for other in present if end[other] >= start[row]]
            pairs += [(min(row, other), max(row, other)) for other in present]
            present.append(row)
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _unit(vectors: Float32) -> Float32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)

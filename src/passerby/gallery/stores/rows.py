"""Rows that stores hold and return, and the filter of a search: ids in the place of names, columns of many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64


@dataclass(frozen=True)
class IdentityRecord:
    """One identity as a store holds it. `id` 0 means: not stored yet."""

    id: int
    name: str
    notes: str = ""
    consent: str = ""
    expires: float | None = None
    unknown: bool = False
    created: float = 0.0
    merged_into: int | None = None


@dataclass(frozen=True)
class Observations:
    """Columns of stored observations, ordered by id. A camera or time that is not known is None or NaN."""

    ids: Int64
    identities: Int64
    cameras: tuple[str | None, ...]
    times: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Where:
    """Which observations a search may see: not these cameras, and only this time window (both ends included)."""

    exclude_cameras: frozenset[str] = frozenset()
    after: float | None = None
    before: float | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered."""
        return not self.exclude_cameras and self.after is None and self.before is None


@dataclass(frozen=True)
class Ranking:
    """The identities nearest to one probe, ascending by distance, each with its nearest observation.

    `considered` counts the observations that passed the filter, `stored` those there are.
    """

    identities: Int64
    distances: npt.NDArray[np.float64]
    observations: Int64
    cameras: tuple[str | None, ...]
    times: npt.NDArray[np.float64]
    considered: int
    stored: int

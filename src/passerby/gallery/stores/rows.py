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
    """Which observations a search may see: not these cameras or identities, only this time window (ends included)."""

    exclude_cameras: frozenset[str] = frozenset()
    after: float | None = None
    before: float | None = None
    exclude_identities: frozenset[int] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered."""
        return not (self.exclude_cameras or self.exclude_identities) and self.after is None and self.before is None


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


@dataclass(frozen=True)
class SightingRecord:
    """One sighting as a store holds it. `id` 0 means: not stored yet; what is not known is None.

    Attributes:
        identity: who was seen.
        camera: where.
        start: first moment, seconds.
        end: last moment, seconds.
        distance: to the nearest identity when the person was seen.
        p_value: of that distance.
        frames: frames in which the person was seen.
        first_frame: in the source.
        last_frame: in the source.
        source: film or folder; erased with the sighting.
        new: whether the identity was made by this sighting.
        at: when it was stored, seconds since 1970.
        first_observation: of the consecutive observations that were stored with it; 0: none were.
        last_observation: of these.
        event: entry of the log that holds camera, time and distance, too, and is cleared with the sighting; 0: none.
        id: of the sighting.
        has_thumbnail: whether a picture is stored.
        has_vector: whether its vector is stored.
    """

    identity: int
    camera: str | None = None
    start: float | None = None
    end: float | None = None
    distance: float | None = None
    p_value: float | None = None
    frames: int = 1
    first_frame: int | None = None
    last_frame: int | None = None
    source: str = ""
    new: bool = False
    at: float = 0.0
    first_observation: int = 0
    last_observation: int = 0
    event: int = 0
    id: int = 0
    has_thumbnail: bool = False
    has_vector: bool = False


@dataclass(frozen=True)
class SightingWhere:
    """Which sightings are meant; None: whichever. A window lets those pass that overlap it (both ends included).

    Sightings whose time is not known pass no window.
    """

    identities: frozenset[int] | None = None
    cameras: frozenset[str] | None = None
    after: float | None = None
    before: float | None = None
    with_vector: bool = False
    started_after: float | None = None
    newer_than: int | None = None
    """Only those with a larger id: stored later."""


@dataclass(frozen=True)
class SightingSummary:
    """What the sightings of one identity say together.

    Attributes:
        count: how many.
        cameras: where.
        first: first moment, seconds; None where none is known.
        last: last moment.
    """

    count: int
    cameras: frozenset[str]
    first: float | None
    last: float | None


@dataclass(frozen=True)
class CameraSightings:
    """What one camera saw.

    Attributes:
        camera: its name; None for sightings without one.
        sightings: how many.
        identities: of how many people.
        new: how many of the sightings made an identity.
        first: first moment, seconds; None where none is known.
        last: last moment.
        drift: whether its newest sightings are farther than those before (see `passerby.gallery.drift`).
    """

    camera: str | None
    sightings: int
    identities: int
    new: int
    first: float | None
    last: float | None
    drift: bool = False

"""What goes into a gallery and what comes out: plain, frozen values."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64
from passerby.errors import GalleryRequestError

Camera: TypeAlias = str | int
Moment: TypeAlias = float | int | str | dt.datetime | dt.date


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


@dataclass(frozen=True)
class IdentityRecord:
    """One identity as a store keeps it. `id` 0 means: not stored yet."""

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
class Observation:
    """One stored sighting of an identity. `time` is in seconds (since 1970 where it was given as a date)."""

    id: int
    identity: str
    camera: str | None
    time: float | None


@dataclass(frozen=True)
class Identity:
    """One identity and what is known of it.

    `expires` is the retention date in seconds since 1970: `Gallery.purge` forgets the identity from then on.
    """

    id: int
    name: str
    observations: int
    cameras: tuple[str, ...]
    first_seen: float | None
    last_seen: float | None
    unknown: bool
    notes: str
    consent: str
    expires: float | None
    created: float
    aliases: tuple[str, ...] = ()
    """Names of the identities that were merged into it."""


@dataclass(frozen=True)
class Event:
    """One entry of the audit log. Names are not in the log: they are looked up, and gone once forgotten."""

    id: int
    at: float
    action: str
    actor: str
    identity: int | None = None
    other: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What names people (for example the name before a renaming); erased with the identity."""
    undone: bool = False
    name: str | None = None
    """Current name of `identity`; None where it was forgotten (or there is none)."""


@dataclass(frozen=True)
class Note:
    """An entry of one's own for the log. No names in `detail`."""

    action: str
    identity: str | None = None
    actor: str = ""
    detail: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """One candidate: an identity, its distance, and the nearest of its observations."""

    identity: str
    distance: float
    camera: str | None
    time: float | None
    observation: int


@dataclass(frozen=True)
class Identification:
    """The answer to "who is this?": candidates, nearest first, and the verdict of the threshold.

    Attributes:
        matches: candidate identities, ascending by distance.
        threshold: the distance below which (strictly) a candidate is accepted; None where none is calibrated.
        considered: observations that were compared (after the filters).
        excluded: observations that the filters left out.
    """

    matches: tuple[Match, ...]
    threshold: float | None
    considered: int
    excluded: int = 0

    @property
    def known(self) -> bool | None:
        """Whether the nearest candidate is accepted (d < threshold); None where no threshold is calibrated."""
        if self.threshold is None:
            return None
        return bool(self.matches) and self.matches[0].distance < self.threshold

    @property
    def identity(self) -> str | None:
        """Name of the accepted identity; None for an unknown person, and where no threshold is calibrated."""
        return self.matches[0].identity if self.known else None

    @property
    def nearest(self) -> Match | None:
        """The nearest candidate, accepted or not."""
        return self.matches[0] if self.matches else None

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if not self.matches:
            return "unknown: no observation to compare with" if self.threshold is not None else "nobody to compare with"
        distance = self.matches[0].distance
        if self.threshold is None:
            return "no threshold is calibrated: these are candidates, not a verdict (see `passerby calibrate`)"
        if self.known:
            return f"known: {self.matches[0].identity} (distance {distance:.4f} < threshold {self.threshold:.4f})"
        return f"unknown: the nearest is at {distance:.4f}, not below the threshold {self.threshold:.4f}"

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)

    def __str__(self) -> str:
        lines = [self.verdict]
        if self.matches:
            width = max(8, *(len(m.identity) for m in self.matches))
            lines.append(f"rank  {'identity':<{width}}  distance  camera      time")
            for rank, m in enumerate(self.matches, 1):
                camera = "-" if m.camera is None else m.camera
                lines.append(f"{rank:>4}  {m.identity:<{width}}  {m.distance:8.4f}  {camera:<10}  {show_time(m.time)}")
        left_out = f" ({self.excluded:,} left out by the filters)" if self.excluded else ""
        lines.append(f"{self.considered:,} observations compared{left_out}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Sighting:
    """What `Gallery.observe` found and did: `identity` is the person's name, `new` whether it was just made."""

    identity: str
    new: bool
    identification: Identification
    observations: tuple[int, ...] = ()
    """Ids of the observations that were stored."""

    def __str__(self) -> str:
        return f"{'new' if self.new else 'seen'}: {self.identity}\n{self.identification}"


@dataclass(frozen=True)
class Forgotten:
    """What `Gallery.forget` erased; `pending` says what could not be erased yet, and is empty when all is gone."""

    identities: tuple[str, ...]
    observations: int
    pending: str = ""

    def __str__(self) -> str:
        text = f"forgot {', '.join(self.identities) or 'nobody'}: {self.observations:,} observations erased"
        return f"{text}; pending: {self.pending}" if self.pending else text


def to_seconds(value: Moment, *, what: str) -> float:
    """A moment in seconds: a number as it is, a date or ISO 8601 text as seconds since 1970.

    Raises:
        GalleryError: not a finite number, not ISO 8601, or a date-time without a time zone.
    """
    if isinstance(value, bool):
        raise GalleryRequestError(f"{what}: expected seconds, a date or ISO 8601 text, found {value!r}")
    if isinstance(value, (int, float, np.integer, np.floating)):
        if not math.isfinite(value):
            raise GalleryRequestError(f"{what}: expected a finite number of seconds, found {value!r}")
        return float(value)
    moment = _parse(value, what) if isinstance(value, str) else value
    if isinstance(moment, dt.datetime):
        if moment.tzinfo is None:
            raise GalleryRequestError(
                f"{what}: {moment.isoformat()} has no time zone; write for example ...T12:00:00+00:00"
            )
        return moment.timestamp()
    if isinstance(moment, dt.date):
        return dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC).timestamp()
    raise GalleryRequestError(f"{what}: expected seconds, a date or ISO 8601 text, found {type(value).__name__}")


def _parse(text: str, what: str) -> dt.datetime | dt.date:
    try:
        return dt.date.fromisoformat(text) if len(text) <= 10 else dt.datetime.fromisoformat(text)
    except ValueError:
        raise GalleryRequestError(
            f"{what}: {text!r} is not ISO 8601 (2026-05-01 or 2026-05-01T12:00:00+00:00)"
        ) from None


def show_time(seconds: float | None) -> str:
    """Seconds for people: a UTC date and time where they look like seconds since 1970 (after 1990), else a number."""
    if seconds is None or math.isnan(seconds):
        return "-"
    if 631_152_000 <= seconds < 253_402_300_800:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{seconds:g}"

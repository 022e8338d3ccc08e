"""What a gallery answers: plain, frozen values that name identities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from passerby.evaluation.p_values import p_value_words
from passerby.gallery.times import show_time
from passerby.gallery.verdict_rule import Basis


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
    sightings: int = 0
    """Stored sightings; `cameras`, `first_seen` and `last_seen` are of observations and sightings together."""
    drift: bool = False
    """Whether the newest sightings are farther away than those before (see `passerby.gallery.drift`)."""


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
        threshold: the distance below which (strictly) a candidate is accepted; None where none is calibrated (`note`
            says what is missing).
        considered: observations that were compared (after the filters).
        excluded: observations that the filters left out.
        p_value: how often somebody who is not enrolled comes as near as the nearest candidate; None where no law of
            impostor distances is known. Where the threshold follows from a false accept rate, known is p <= that rate.
        basis: where the threshold comes from.
        note: one sentence on what the verdict rests on, or what is missing for one.
    """

    matches: tuple[Match, ...]
    threshold: float | None
    considered: int
    excluded: int = 0
    p_value: float | None = None
    basis: Basis = "none"
    note: str = ""

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
            missing = self.note or "no threshold is calibrated (see `passerby calibrate`)"
            return f"{missing}; these are candidates, not a verdict"
        if self.known:
            return f"known: {self.matches[0].identity} (distance {distance:.4f} < threshold {self.threshold:.4f})"
        return f"unknown: the nearest is at {distance:.4f}, not below the threshold {self.threshold:.4f}"

    @property
    def likelihood(self) -> str:
        """The p-value in words; "" where there is none."""
        if self.p_value is None or not self.matches:
            return ""
        return f"{p_value_words(self.p_value)}: {in_words(self.p_value)}"

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)

    def __str__(self) -> str:
        lines = [line for line in (self.verdict, self.likelihood) if line]
        if self.matches:
            width = max(8, *(len(m.identity) for m in self.matches))
            lines.append(f"rank  {'identity':<{width}}  distance  camera      time")
            for rank, m in enumerate(self.matches, 1):
                camera = "-" if m.camera is None else m.camera
                lines.append(f"{rank:>4}  {m.identity:<{width}}  {m.distance:8.4f}  {camera:<10}  {show_time(m.time)}")
        left_out = f" ({self.excluded:,} left out by the filters)" if self.excluded else ""
        lines.append(f"{self.considered:,} observations compared{left_out}")
        return "\n".join(lines)


def in_words(p_value: float) -> str:
    """How often people who are not enrolled come this near, for people."""
    if p_value >= 0.995:
        return "nearly everybody who is not enrolled comes this near"
    if p_value >= 0.095:
        return f"of 100 people who are not enrolled, about {round(100 * p_value)} would come this near"
    if p_value < 1e-6:
        return "fewer than 1 in 1,000,000 people who are not enrolled would come this near"
    digits = 10 ** (len(str(round(1 / p_value))) - 1)
    people = max(round(1 / p_value / digits * 10), 1) * digits // 10 if digits > 1 else round(1 / p_value)
    return f"of {people:,} people who are not enrolled, about 1 would come this near"


@dataclass(frozen=True)
class Sighting:
    """Somebody was seen by a camera; printing it says who, where and when.

    Attributes:
        identity: the person's name.
        new: whether the identity was made by this sighting.
        identification: the answer of `Gallery.observe`; None where a stored sighting was read.
        observations: ids of the observations that were stored with it, as far as there still are any.
        id: of the stored sighting.
        camera: where.
        start: first moment, seconds (since 1970 where it was given as a date).
        end: last moment.
        distance: to the nearest identity, when the person was seen; None where there was none.
        p_value: how likely somebody unknown would be as near; None where the gallery could not say.
        frames: in how many frames the person was seen.
        source: film or folder; "" where none was given.
        first_frame: in the source.
        last_frame: in the source.
        at: when it was stored, seconds since 1970.
        has_thumbnail: whether a picture is stored (`Gallery.sighting_thumbnail`).
        has_vector: whether its vector is stored.
    """

    identity: str
    new: bool
    identification: Identification | None = None
    observations: tuple[int, ...] = ()
    id: int = 0
    camera: str | None = None
    start: float | None = None
    end: float | None = None
    distance: float | None = None
    p_value: float | None = None
    frames: int = 1
    source: str = ""
    first_frame: int | None = None
    last_frame: int | None = None
    at: float = 0.0
    has_thumbnail: bool = False
    has_vector: bool = False

    def __str__(self) -> str:
        text = f"{'new' if self.new else 'seen'}: {self.identity}"
        if self.camera is not None:
            text += f" at {self.camera}"
        if self.start is not None:
            text += f", {show_time(self.start)}" + (f" to {show_time(self.end)}" if self.end != self.start else "")
        return text if self.identification is None else f"{text}\n{self.identification}"


@dataclass(frozen=True)
class FoundSighting:
    """One result of `Gallery.find_sightings`: a stored sighting and its distance to the probe."""

    sighting: Sighting
    distance: float


@dataclass(frozen=True)
class FoundSightings:
    """What `Gallery.find_sightings` found, nearest first; printing it shows a table.

    Attributes:
        results: the nearest sightings.
        considered: sightings that were compared (after the filters).
        without_vector: sightings that pass the filters but have no vector to compare.
    """

    results: tuple[FoundSighting, ...]
    considered: int
    without_vector: int

    def __iter__(self) -> Iterator[FoundSighting]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __str__(self) -> str:
        lines = [f"{self.considered:,} sightings compared ({self.without_vector:,} without a vector left out)"]
        width = max(8, *(len(found.sighting.identity) for found in self.results)) if self.results else 8
        lines.append(f"rank  {'identity':<{width}}  distance  camera      from")
        for rank, found in enumerate(self.results, 1):
            seen = found.sighting
            camera = "-" if seen.camera is None else seen.camera
            lines.append(
                f"{rank:>4}  {seen.identity:<{width}}  {found.distance:8.4f}  {camera:<10}  {show_time(seen.start)}"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Forgotten:
    """What `Gallery.forget` or `purge` erased; `pending` says what could not be erased yet ("": nothing)."""

    identities: tuple[str, ...]
    observations: int
    pending: str = ""
    sightings: int = 0

    def __str__(self) -> str:
        text = f"forgot {', '.join(self.identities) or 'nobody'}: {self.observations:,} observations erased"
        if self.sightings:
            text = f"{text}, and {self.sightings:,} sightings"
        return f"{text}; pending: {self.pending}" if self.pending else text

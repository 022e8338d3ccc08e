"""The methods that a gallery needs of a store."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.gallery.events import Event
from passerby.gallery.stores.enrolled_rows import EnrolledRows
from passerby.gallery.stores.rows import (
    CameraSightings,
    IdentityRecord,
    Observations,
    Ranking,
    SightingRecord,
    SightingSummary,
    SightingWhere,
    Where,
)
from passerby.search.score import Score

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics


@dataclass(frozen=True)
class Settings:
    """Settings of a gallery. `dim` 0 and `fingerprint` "" mean: not fixed yet."""

    dim: int = 0
    fingerprint: str = ""
    threshold: float | None = None
    storage: Literal["float32", "float16"] = "float32"
    unknowns: int = 0
    """How many "unknown-N" were ever named; numbers are never used twice."""
    keep_sighting_vectors: bool = False
    """Whether the vectors of sightings are stored, for a search over all past sightings."""
    sightings_expire_after: float | None = None
    """Seconds after which a sighting is erased by a purge; None: it stays as long as its identity."""
    templates_per_camera: int | None = None
    """Most observations of one identity and camera that `observe` stores; None: any number."""
    far: float | None = None
    """Asked false accept rate; None: it was never set."""
    cohort: bool = False
    """Whether a nearest distance is judged relative to those of the next nearest people (see comparison.py)."""
    camera_means: int = 0
    """Version of the camera statistics that are subtracted from vectors before they are compared; 0: none are."""


class SightingStore(Protocol):
    """The sightings of a store; what is said of `Store` holds for it, too."""

    def add(self, record: SightingRecord, vector: Float32 | None, thumbnail: bytes | None) -> int:
        """Store a sighting with its unit vector [D] and its JPEG, as far as there are any; its new id."""

    def select(self, where: SightingWhere, *, newest: int | None = None) -> list[SightingRecord]:
        """Those that pass, or the newest so many of them, by (start, id); those without a time come first."""

    def get(self, sightings: Sequence[int]) -> list[SightingRecord]:
        """Sightings by id, in the order asked for; NotInGalleryError where there is one no more."""

    def count(self, where: SightingWhere) -> int:
        """How many pass."""

    def summaries(self, identities: Sequence[int] | None = None) -> dict[int, SightingSummary]:
        """Of each of these identities that has sightings, or of all."""

    def last_id(self) -> int:
        """The largest id that was given to a sighting; 0: none was."""

    def by_camera(self, where: SightingWhere) -> list[CameraSightings]:
        """Counts of each camera, by its name."""

    def recent_distances(self, identities: Sequence[int] | None = None, *, newest: int) -> dict[int, list[float]]:
        """Distances of the newest sightings of each identity, in the order in which they were stored.

        Without those that made the identity, whose distance is to somebody else.
        """

    def move(self, sightings: Int64, identity: int) -> None:
        """Give sightings to another identity."""

    def erase(self, sightings: Int64) -> None:
        """Erase sightings with their pictures, vectors and sources, and what the log says of each."""

    def erase_vectors(self) -> int:
        """Erase the vectors of all sightings; how many there were."""

    def expired(self, before: float) -> Int64:
        """Ids of those that were seen before a moment (seconds since 1970).

        What counts is the end where it is a date, and else when the sighting was stored.
        """

    def thumbnails(self, sightings: Sequence[int]) -> list[bytes | None]:
        """The JPEG of each of these sightings, where one was stored."""

    def vectors(self, sightings: Sequence[int]) -> list[Float32 | None]:
        """The unit vector [D] of each of these sightings, where one was stored."""

    def search(
        self, probes: Float32, where: SightingWhere, *, top: int, means: CameraStatistics | None = None
    ) -> list[tuple[Int64, npt.NDArray[np.float64]]]:
        """For each probe [q, D] the ids of the nearest sightings that have a vector, and their distances.

        `means`, which a store without camera statistics is never given, are subtracted from the sightings' vectors; of
        the probes they were.
        """


class Store(Protocol):
    """Identities, their observations and the log of changes.

    Methods that write are called inside `transaction()`; those that read see every change acknowledged before the
    call, by whichever process. Ids are positive, grow, and are never used twice. Errors are `GalleryError` for what
    cannot be read as a gallery, `StorageError` where writing failed; then nothing of the transaction has happened.
    """

    location: str

    @property
    def sightings(self) -> SightingStore:
        """The sightings of this gallery."""

    def transaction(self) -> AbstractContextManager[None]:
        """One writer at a time; all or nothing (as far as the engine can: see the store's own page)."""

    def load(self) -> None:
        """Read now what searches need, if it is kept in memory; else the first one reads it."""

    def settings(self) -> Settings:
        """What the gallery knows of itself."""

    def change_settings(self, settings: Settings) -> None:
        """Replace all settings."""

    def identities(self) -> Mapping[int, IdentityRecord]:
        """All identities by id, those merged into another included."""

    def identity(self, identity: int) -> IdentityRecord | None:
        """One identity by id."""

    def relatives(self, identities: Iterable[int]) -> Mapping[int, IdentityRecord]:
        """Those of these identities that there are, and all that were merged into them, by id."""

    def names(self, identities: Iterable[int]) -> dict[int, str]:
        """Names of those of these identities that there are."""

    def find(self, names: Sequence[str]) -> dict[str, IdentityRecord]:
        """The identities of these names, as far as there are any, also if they were merged into another."""

    def put_identity(self, record: IdentityRecord) -> int:
        """Store a new identity (`id` 0) or replace one; its id.

        A name belongs to one identity, also that of an identity which was merged into another: GalleryRequestError
        here, or at the end of the transaction, where it is another's.
        """

    def erase_identities(self, identities: Sequence[int]) -> None:
        """Erase identities, every earlier version of their texts, and what the log says of them."""

    def add_observations(
        self,
        identities: Int64,
        vectors: Float32,
        cameras: Sequence[str | None],
        times: npt.NDArray[np.float64],
        thumbnails: Sequence[bytes | None],
        *,
        ids: Int64 | None = None,
    ) -> Int64:
        """Store unit vectors [n, D]; their new ids, consecutive. Or `ids`, which were theirs before, and are free."""

    def move_observations(self, observations: Int64, identity: int) -> None:
        """Give observations to another identity."""

    def erase_observations(self, observations: Int64) -> None:
        """Erase observations with their vectors and thumbnails."""

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""

    def vectors(self, observations: Int64) -> Float32:
        """Vectors [n, D] of observations, in the order asked for."""

    def thumbnails(self, observations: Int64) -> list[bytes | None]:
        """The JPEG of each of these observations, where one was stored."""

    def search(self, probes: Float32, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter."""

    def count(self) -> int:
        """Stored observations."""

    def revision(self) -> Hashable:
        """Differs from what it was wherever something was changed since; cheap."""

    def enrolled_rows(self) -> EnrolledRows:
        """Whose the observations of all enrolled identities are, and which camera took them."""

    def camera_statistics(self, version: int) -> CameraStatistics | None:
        """Camera statistics of a version; None: there are none, or they were erased with somebody who was in them."""

    def means_version(self) -> int:
        """`settings().camera_means`, at no cost where the store can have none; 0: none are in force."""

    def put_camera_statistics(self, statistics: CameraStatistics) -> int:
        """Store camera statistics under the next version, which they do not have in force yet; that version.

        Earlier ones are erased if somebody was forgotten since they were measured: the difference of two means would
        show who it was. GalleryRequestError where the store cannot compare mapped vectors.
        """

    def stored_calibration(self, key: str) -> bytes | None:
        """What `store_calibration` kept under this key, if it still is there and sound."""

    def store_calibration(self, key: str, data: bytes, revision: Hashable) -> None:
        """Keep what calibration has computed, unless the gallery has changed since `revision`, or cannot be written.

        Not a change: `revision` stays. It is erased whenever an identity or an observation is. A store may keep none.
        """

    def pair_judgements(self) -> list[Event]:
        """Entries of the log with the action "pair" that were not undone, oldest first."""

    def append_event(self, event: Event) -> int:
        """Write to the log (its `id` and `name` are ignored); the new event's id.

        `detail` holds numbers and camera names only; what names people belongs in `private`, which is erasable and is
        erased with the event's identity.
        """

    def append_events(self, events: Sequence[Event]) -> None:
        """Write entries that only note something (no `other`, no `private`), all or none, outside a transaction.

        They are durable when it returns. An identity that was erased by then is left out of its entry.
        """

    def events(self, identity: int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log, newest first."""

    def mark_undone(self, event: int) -> None:
        """Note that an event was undone."""

    def settle_erasure(self) -> str:
        """Finish erasing what was forgotten, also from logs and caches; what is still pending, or ""."""

    def pending_erasure(self) -> str:
        """What of those who were forgotten is still in a file, as far as the store knows; or ""."""

    def check(self) -> None:
        """Read everything; GalleryError where something is damaged."""

    def compact(self) -> None:
        """Give unused space back."""

    def backup(self, target: Path) -> None:
        """A consistent copy, while others read and write."""

    def close(self) -> None:
        """Close the file or the connection."""

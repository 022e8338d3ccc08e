"""The distributed store: Milvus, or its embedded edition ("milvus:PATH.db").

Three collections: NAME holds one row for each observation (vector, identity, camera, time, encoder), NAME_sightings one
for each sighting, NAME_records the settings, identities and the log as small JSON bodies. All reads ask for strong
consistency, so a change is seen by whoever reads after it was acknowledged.

What differs from the embedded store, since Milvus has no transactions: a change that fails half-way is taken back
step by step (not if the process dies in between; the log entry is written last). Names are unique all the same: who has
written one looks whether there is another of it, and takes its change back if so. Two processes that make the same new
name in the same instant may both be refused; they can never both succeed.
"""

from __future__ import annotations

import logging
import secrets
import time as clock
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import DamagedGalleryError, GalleryError, GalleryRequestError, StorageError
from passerby.gallery.events import Event
from passerby.gallery.stores.enrolled_rows import EnrolledRows, consolidated
from passerby.gallery.stores.milvus.cameras import CameraNames
from passerby.gallery.stores.milvus.connection import Connection
from passerby.gallery.stores.milvus.filters import name_keys
from passerby.gallery.stores.milvus.observations import ObservationRows
from passerby.gallery.stores.milvus.records import Records
from passerby.gallery.stores.milvus.schema import open_records
from passerby.gallery.stores.milvus.search import MilvusSearch
from passerby.gallery.stores.milvus.sightings import MilvusSightings
from passerby.gallery.stores.milvus.sightings_of_the_log import sightings_of_the_log
from passerby.gallery.stores.names import check_one_writing, free_name
from passerby.gallery.stores.protocol import Settings
from passerby.gallery.stores.rows import IdentityRecord, Observations, Ranking, Where
from passerby.plain_names import plain_key
from passerby.search.score import Score

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

log = logging.getLogger("passerby")

_FORMAT = 'key == "format:0"'
_VERSION = 3  # 2: names are unique; 3: sightings
_OTHERS_SECONDS = 60.0  # after which the calibration looks for what other processes have changed
_EPOCH_MS = 1_767_225_600_000  # 2026-01-01; ids are milliseconds since then and 14 bits: below 2**53 until 2043


class MilvusStore:
    """A gallery in Milvus.

    Args:
        location: "milvus://[user:password@]host:port/NAME" ("milvus:https://..." for TLS), or for milvus-lite
            "milvus:PATH.db".
        read_only: refuse every change.

    Raises:
        MissingExtraError: pymilvus is not installed.
        GalleryError: the address is not of this form, or NAME is a collection of something else.
        StorageError: the server cannot be reached.
    """

    def __init__(self, location: str, *, read_only: bool = False) -> None:
        self._connection = Connection(location, read_only=read_only)
        self.location = self._connection.location
        self._depth = 0
        self._reversals: list[Callable[[], object]] = []
        self._last_id = 0
        self._changes = 0
        self._camera_numbers: dict[str, int] = {}
        self._agreed: Settings | None = None
        self._erased = False
        with self._connection.use():
            made = open_records(self._connection)
            self._records = Records(self._connection, self._reversals)
            cameras = CameraNames(self._connection)
            self._observations = ObservationRows(self._connection, self._reversals, cameras)
            self._searching = MilvusSearch(self._connection, self._observations, cameras)
            self.sightings = MilvusSightings(
                self._connection,
                self._reversals,
                cameras,
                transaction=lambda: self._depth > 0,
                new_id=lambda: self._new_ids(1),
                dim=lambda: self._of_stored_vectors().dim,
                erased=self._note_erasure,
                clear_event=self._clear_event,
            )
            if made:
                with self.transaction():
                    self._records.write("format", 0, {"version": _VERSION}, new=True)
            elif not read_only:
                self._migrate()

    def close(self) -> None:
        """Close the connection; a server of milvus-lite that it started keeps the file until the process ends."""
        with self._connection.use():
            self._connection.client.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer of this process at a time; what was done is taken back if the block fails.

        Raises:
            StorageError: opened for reading only, or it cannot be written.
        """
        with self._connection.use():
            if self._connection.read_only:
                raise StorageError(f"{self.location}: opened for reading only; nothing was changed")
            self._depth += 1
            try:
                yield
                self._records.flush()
                if self._depth == 1:
                    self._records.check_names()
            except BaseException:
                if self._depth == 1:
                    self._records.discard()
                    self._agreed = None
                    for reverse in reversed(self._reversals):
                        reverse()
                raise
            finally:
                self._depth -= 1
                self._changes += 1
                self._searching.observations_changed()
                if not self._depth:
                    self._reversals.clear()
                    self._records.end_transaction()

    def _new_ids(self, count: int) -> int:
        """The first of `count` consecutive ids: by the clock, so that writers need no shared counter."""
        now = (clock.time_ns() // 1_000_000 - _EPOCH_MS) << 14 | secrets.randbelow(1 << 13)
        first = max(now, self._last_id + 1)
        self._last_id = first + count - 1
        return first

    # -- settings and identities -------------------------------------------------------------------------------------

    def load(self) -> None:
        """Nothing: the server has it in its memory."""

    def settings(self) -> Settings:
        """What the gallery knows of itself."""
        with self._connection.use():
            found = self._records.bodies('key == "settings:0"')
            return Settings(**found[0][1]) if found else Settings()

    def _of_stored_vectors(self) -> Settings:
        """Settings whose length and fingerprint of vectors hold: the first vectors fix both."""
        if self._agreed is not None:
            return self._agreed
        settings = self.settings()
        if settings.dim:
            self._agreed = settings
        return settings

    def change_settings(self, settings: Settings) -> None:
        """Replace all settings."""
        self._records.write("settings", 0, asdict(settings))
        if settings.dim:
            self._observations.make(settings.dim)
            self._agreed = settings

    def identities(self) -> Mapping[int, IdentityRecord]:
        """All identities by id, those merged into another included."""
        with self._connection.use():
            return {number: IdentityRecord(**body) for number, body in self._records.bodies('kind == "identity"')}

    def identity(self, identity: int) -> IdentityRecord | None:
        """One identity by id."""
        with self._connection.use():
            found = self._records.bodies(f'key == "identity:{int(identity)}"')
            return IdentityRecord(**found[0][1]) if found else None

    def relatives(self, identities: Iterable[int]) -> Mapping[int, IdentityRecord]:
        """Those of these identities that there are, and all that were merged into them, by id."""
        wanted = sorted({int(i) for i in identities})
        with self._connection.use():
            bodies = self._records.bodies_where_in('kind == "identity"', ("number", "other"), wanted)
            records = {number: IdentityRecord(**body) for number, body in bodies}
            found = {identity: records[identity] for identity in wanted if identity in records}
            while new := {i: r for i, r in records.items() if i not in found and r.merged_into in found}:
                found.update(new)
                bodies = self._records.bodies_where_in('kind == "identity"', ("other",), sorted(new))
                records = {number: IdentityRecord(**body) for number, body in bodies}
        return dict(sorted(found.items()))

    def names(self, identities: Iterable[int]) -> dict[int, str]:
        """Names of those of these identities that there are."""
        wanted = [int(i) for i in identities]
        with self._connection.use():
            found = self._records.bodies_where_in('kind == "identity"', ("number",), wanted)
            return {number: body["name"] for number, body in found}

    def find(self, names: Sequence[str]) -> dict[str, IdentityRecord]:
        """The identities of these names, as far as there are any, also if they were merged into another."""
        found: dict[str, IdentityRecord] = {}
        with self._connection.use():
            records = [
                IdentityRecord(**body)
                for _, body in self._records.bodies_where_in('kind == "identity"', ("name_key",), name_keys(names))
            ]
        exact = {record.name: record for record in reversed(records)}
        writings: dict[str, list[IdentityRecord]] = {}
        for record in records:
            writings.setdefault(plain_key(record.name), []).append(record)
        for name in names:
            written = writings.get(plain_key(name), [])
            if name not in exact:
                check_one_writing(self.location, name, [record.name for record in written])
            if written:
                found[name] = exact.get(name) or written[0]
        return found

    def _migrate(self) -> None:
        """Bring what an older version wrote to the newest version of the format, once for each gallery."""
        found = self._records.bodies(_FORMAT)
        version = int(found[0][1]["version"]) if found else 1
        if version >= _VERSION:
            return
        with self.transaction():
            if version < 2:
                self._make_names_unique()
            for known in self.identities().values():
                if known.merged_into is not None or plain_key(known.name) != known.name:
                    self.put_identity(known)  # its row says into whom it was merged, and finds all writings
            for record in sightings_of_the_log(self.events(), self.identities(), self.observations()):
                self.sightings.add(record, None, None)
            self._records.write("format", 0, {"version": _VERSION}, new=not found)

    def _make_names_unique(self) -> None:
        """Identities that older versions let have one name get different ones."""
        with self.transaction():
            taken: set[str] = set()
            records = self.identities()
            all_names = {record.name for record in records.values()}
            for record in records.values():
                name = record.name
                if name in taken:
                    name = free_name(name, taken | all_names)
                    self.put_identity(replace(record, name=name))
                    self.append_event(
                        Event(0, clock.time(), "unique_name", "", record.id, private={"name": record.name})
                    )
                    log.warning(
                        "%s: identity %d had the name of an older one and has a number behind it now (see the history)",
                        self.location, record.id,
                    )  # fmt: skip
                taken.add(name)

    def put_identity(self, record: IdentityRecord) -> int:
        """Store a new identity (`id` 0) or replace one; its id."""
        stored = record if record.id else replace(record, id=self._new_ids(1))
        self._records.write(
            "identity",
            stored.id,
            asdict(stored),
            identity=stored.id,
            other=stored.merged_into,
            name=stored.name,
            new=not record.id,
        )
        return stored.id

    def erase_identities(self, identities: Sequence[int]) -> None:
        """Erase identities and what the log says of them."""
        self._records.flush()
        for identity in identities:
            self._records.delete(f"identity:{identity}")
            for event in self.events(identity):
                self._write_event(replace(event, detail={}, private={}))
        self._note_erasure()

    def _note_erasure(self) -> None:
        self._reversals.clear()  # erased is erased
        self._erased = True

    def _clear_event(self, event: int) -> None:
        for _, body in self._records.bodies(f'key == "event:{int(event)}"'):
            self._write_event(replace(Event(**body), detail={}))

    # -- observations ------------------------------------------------------------------------------------------------

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
        """Store unit vectors [n, D]; their new ids, consecutive, or those that they had before (`ids`)."""
        self._records.flush()  # identities come before their observations, and the log after them
        if ids is None:
            first = self._new_ids(len(vectors))
            ids = np.arange(first, first + len(vectors), dtype=np.int64)
        encoder = self._of_stored_vectors().fingerprint
        self._observations.add(ids, identities, vectors, cameras, times, thumbnails, encoder)
        return ids

    def move_observations(self, observations: Int64, identity: int) -> None:
        """Give observations to another identity."""
        self._observations.move(observations, identity)

    def erase_observations(self, observations: Int64) -> None:
        """Erase observations with their vectors and thumbnails."""
        self._observations.delete(observations)
        self._note_erasure()

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        with self._connection.use():
            return self._observations.columns(identities)

    def vectors(self, observations: Int64) -> Float32:
        """Vectors [n, D] of observations, in the order asked for."""
        with self._connection.use():
            return self._observations.vectors(observations)

    def thumbnails(self, observations: Int64) -> list[bytes | None]:
        """The JPEG of each of these observations, where one was stored."""
        with self._connection.use():
            return self._observations.thumbnails(observations)

    def count(self) -> int:
        """Stored observations."""
        with self._connection.use():
            return self._observations.count(Where())

    def revision(self) -> Hashable:
        """Differs from what it was wherever this process has changed something since, and once a minute.

        Asking the server each time would cost as much as a search.
        """
        return (self._changes, int(clock.monotonic() / _OTHERS_SECONDS))

    def enrolled_rows(self) -> EnrolledRows:
        """Whose the observations of all enrolled identities are, and which camera took them; by id."""
        columns, records = self.observations(), self.identities()
        unknown = {number for number, record in records.items() if record.unknown}
        merged = {i: record.merged_into for i, record in records.items() if record.merged_into is not None}
        for camera in columns.cameras:
            if camera is not None:
                self._camera_numbers.setdefault(camera, len(self._camera_numbers))
        cameras = np.array([-1 if c is None else self._camera_numbers[c] for c in columns.cameras], np.int64)
        chosen = ~np.isin(columns.identities, np.array(sorted(unknown), np.int64))
        return EnrolledRows(
            columns.ids[chosen],
            columns.identities[chosen],
            cameras[chosen],
            consolidated(unknown, merged),
            camera_names={number: camera for camera, number in self._camera_numbers.items()},
        )

    def camera_statistics(self, version: int) -> CameraStatistics | None:
        """None: the server compares vectors as they are."""
        return None

    def means_version(self) -> int:
        """0: the server compares vectors as they are."""
        return 0

    def put_camera_statistics(self, statistics: CameraStatistics) -> int:
        """Refused.

        Raises:
            GalleryRequestError: always.
        """
        raise GalleryRequestError(
            f"{self.location}: Milvus compares vectors as they are, without camera means; `passerby gallery migrate` "
            "copies the gallery into a file, which can have them"
        )

    def stored_calibration(self, key: str) -> bytes | None:
        """None: nothing is kept."""
        return None

    def store_calibration(self, key: str, data: bytes, revision: Hashable) -> None:
        """Nothing is kept: programs that use a server stay open."""

    def search(self, probes: Float32, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; approximate where the index is."""
        with self._connection.use():
            return self._searching.search(probes, wheres, top=top, score=score)

    # -- log ---------------------------------------------------------------------------------------------------------

    def append_event(self, event: Event) -> int:
        """Write to the log; the new event's id."""
        stored = replace(event, id=self._new_ids(1))
        self._write_event(stored, new=True)
        return stored.id

    def append_events(self, events: Sequence[Event]) -> None:
        """Write entries that change nothing, in one request."""
        with self.transaction():
            known = self.names({event.identity for event in events if event.identity is not None})
            for event in events:
                self.append_event(event if event.identity in known else replace(event, identity=None))

    def _write_event(self, event: Event, *, new: bool = False) -> None:
        body = {key: value for key, value in asdict(event).items() if key != "name"}
        self._records.write("event", event.id, body, identity=event.identity, other=event.other, new=new)

    def events(self, identity: int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log, newest first."""
        with self._connection.use():
            condition = 'kind == "event"'
            if identity is not None:
                condition += f" and (identity == {int(identity)} or other == {int(identity)})"
            found = self._records.bodies(condition) if limit is None else self._records.newest(condition, limit)
            return [Event(**body) for _, body in reversed(found)]

    def pair_judgements(self) -> list[Event]:
        """Entries of the log with the action "pair" that were not undone, oldest first."""
        with self._connection.use():
            events = [Event(**body) for _, body in self._records.bodies('kind == "event" and other > 0')]
        return [event for event in events if event.action == "pair" and not event.undone]

    def mark_undone(self, event: int) -> None:
        """Note that an event was undone."""
        for _, body in self._records.bodies(f'key == "event:{int(event)}"'):
            self._write_event(replace(Event(**body), undone=True))

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def settle_erasure(self) -> str:
        """Flush and compact, so that segments are written anew without what was deleted; what is still pending."""
        with self._connection.use():
            if self._connection.read_only or not self._erased:
                return ""
            running = [
                job for job in self._compact() if str(self._connection.client.get_compaction_state(job)) != "Completed"
            ]
        if self._connection.embedded:
            return (
                "milvus-lite drops erased rows from its files when it next merges segments, and offers no call for it; "
                "where erasure must be immediate, use a file gallery"
            )
        state = f"compaction runs (jobs {running})" if running else "segments are compacted"
        return (
            f"{state}; Milvus deletes the old segments from its object storage when its garbage collection runs "
            "(dataCoord.gc.interval and dataCoord.gc.dropTolerance of the server)"
        )

    def pending_erasure(self) -> str:
        """What this process erased and Milvus has not dropped yet; "" where it erased nothing."""
        return "Milvus deletes old segments when its garbage collection runs" if self._erased else ""

    def _compact(self) -> list[int]:
        """Write segments anew; the numbers of the jobs that do it."""
        jobs = []
        names = [self._connection.observations_name] if self._observations.exist else []
        names += [self._connection.sightings_name] if self.sightings.exist else []
        for name in [*names, self._connection.records_name]:
            self._connection.client.flush(name)
            jobs.append(int(self._connection.client.compact(name)))
        return [job for job in jobs if job > 0]

    def check(self) -> None:
        """Every observation belongs to an identity, and to one that was not merged away.

        Raises:
            DamagedGalleryError: identities of observations are missing.
        """
        with self._connection.use():
            owners = set(self.observations().identities.tolist())
            living = {record.id for record in self.identities().values() if record.merged_into is None}
            if owners - living:
                raise DamagedGalleryError(
                    f"{self.location}: damaged: {len(owners - living)} identities of observations missing"
                )

    def compact(self) -> None:
        """Flush and compact."""
        with self.transaction():
            self._compact()

    def backup(self, target: Path) -> None:
        """Not offered: Milvus has a tool of its own.

        Raises:
            GalleryError: always: Milvus has tools of its own.
        """
        raise GalleryError(f"{self.location}: back a Milvus gallery up with milvus-backup, or export it as Parquet")

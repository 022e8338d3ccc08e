"""The embedded store: one SQLite file, exact search in memory.

Every acknowledged change is on the disk (write-ahead log, `synchronous=FULL`). Several processes may read and write the
same file: writers take turns, and readers notice a change by SQLite's `data_version` and read what is new. What is
forgotten is overwritten in place (see schema.py) and the log is emptied, so no byte of it stays in any of the files.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import DamagedGalleryError, GalleryError, GalleryRequestError, StorageError
from passerby.gallery.events import Event
from passerby.gallery.stores.enrolled_rows import EnrolledRows
from passerby.gallery.stores.names import name_hint
from passerby.gallery.stores.protocol import Settings
from passerby.gallery.stores.rows import IdentityRecord, Observations, Ranking, Where
from passerby.gallery.stores.sqlite import schema
from passerby.gallery.stores.sqlite.calibrations import (
    erase_calibrations,
    read_calibration,
    write_calibration,
)
from passerby.gallery.stores.sqlite.camera_means import note_forgotten, put_statistics, statistics_of
from passerby.gallery.stores.sqlite.cameras import camera_codes
from passerby.gallery.stores.sqlite.checksums import SALVAGE, check_records, keep_record_sums
from passerby.gallery.stores.sqlite.connection import (
    BUSY_SECONDS,
    PRIVATE,
    close_files,
    connect,
    has_log,
    sync_file,
    translated,
)
from passerby.gallery.stores.sqlite.enrolled import enrolled_rows
from passerby.gallery.stores.sqlite.file_guard import OVERWRITTEN, FileGuard
from passerby.gallery.stores.sqlite.memory_mirror import Memory
from passerby.gallery.stores.sqlite.new_file import run_migrations
from passerby.gallery.stores.sqlite.partial_files import partial_file, remove_partials_of_the_dead
from passerby.gallery.stores.sqlite.schema import APPLICATION_ID, VECTORS_PER_BLOCK
from passerby.gallery.stores.sqlite.sightings import SqliteSightings
from passerby.gallery.stores.sqlite.slots import (
    erase_thumbnail,
    take_slots,
    write_thumbnails,
    write_vectors,
)
from passerby.gallery.stores.sqlite.text_slots import erase_text, read_text, write_text
from passerby.plain_names import plain_key
from passerby.search.score import Score

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

_READER_SECONDS = 3.0
ERASURE_PENDING = (
    "another process is reading an older state, or the disk is in the way, so the write-ahead log still holds the "
    "erased bytes; the next change, the next opening or `purge` empties it"
)

PAGES_IN_LOG = 1000
"""So many pages in the write-ahead log are written back into the file after a change."""


class SqliteStore:
    """A gallery in one SQLite file: one object for each file of a process (see sharing.py).

    Args:
        path: the file, without symbolic links in it.
        location: what its user calls it.
        read_only: open for reading; every change is refused.

    Raises:
        GalleryError: not a gallery, damaged, or of a newer version of passerby.
        StorageError: the file cannot be locked.
    """

    def __init__(self, path: Path, *, location: str, read_only: bool = False) -> None:
        self.location = location
        self.path = path
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self.inherited = False
        self._lock = threading.RLock()
        self._writing = threading.RLock()  # taken before `_lock`, never after
        self._depth = 0
        self._read_only = read_only
        self._log_db: sqlite3.Connection | None = None
        self._memory = Memory(location, self._another_connection)
        self._data_version = -1
        self.sightings = SqliteSightings(
            location, reading=self._reading, writing=self._db_of_write, settings=lambda: self._memory.settings
        )
        self._guard = FileGuard(path)
        self.inode = self._guard.inode
        self._connections: list[sqlite3.Connection] = []
        # also for who forgets to close: the guard must be the last to go
        self._finish = weakref.finalize(self, close_files, self._connections, self._guard)
        try:
            with translated(self.location):
                self._connect()
                self._migrate()
                self._keep_sums()
            self._refresh()
            self._finish_erasure()
        except BaseException:
            self._finish()
            raise

    def _connect(self) -> None:
        self._db = connect(self.path, read_only=self._read_only)
        self._connections.append(self._db)
        self._check_application()
        if not self._read_only:
            self._db.execute("PRAGMA journal_mode = WAL")  # a copy by other tools may be without
        if has_log(self._db):
            self._guard.hold()

    def _another_connection(self) -> sqlite3.Connection | None:
        """For reading alone; None where its name leads to another file now, or to none."""
        try:
            db = connect(self.path, read_only=True)
        except sqlite3.Error:
            return None
        if self._guard.file_fault():
            db.close()
            return None
        return db

    def _keep_sums(self) -> None:
        if not self._read_only:
            keep_record_sums(self._db)

    def make_writable(self) -> None:
        """Go on as a store that can be written to, if it was opened for reading only."""
        with self._writing, self._lock, translated(self.location):
            if self._read_only:
                self._read_only = False
                try:
                    self._connect()
                except BaseException:
                    self._read_only = True
                    self._db = self._connections[0]
                    raise
                self._connections.pop(0).close()
                self._data_version = -1  # it is counted by connection
                self._keep_sums()
                self._refresh()
                self._finish_erasure()

    def _finish_erasure(self) -> None:
        """What a process that was killed, or a reader, has left of those who were forgotten goes now, if it can."""
        if not self._read_only and self._memory.erasure_pending:
            self.settle_erasure(wait=0.0)

    def leave_to_parent(self) -> None:
        """In a forked process: let go of the locks' descriptors, and never touch the file again."""
        self.inherited = True
        self._finish.detach()
        self._guard.close_descriptors()

    def close(self) -> None:
        """Close the file; the log is written back when the last process closes."""
        with self._writing, self._lock, translated(self.location):
            self._finish()

    def file_fault(self) -> str:
        """What has happened to the file since it was opened, or ""."""
        return self._guard.file_fault()

    def log_fault(self) -> str:
        """What has happened to its write-ahead log since it was opened, or ""."""
        return self._guard.log_fault()

    # -- state -------------------------------------------------------------------------------------------------------

    def _check_application(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise GalleryError(f"{self.location}: an SQLite file, but not a gallery (application id {application})")

    def _migrate(self) -> None:
        version = self._check_version()
        if version < len(schema.MIGRATIONS):
            if self._read_only:
                raise GalleryError(f"{self.location}: version {version} of the format: open it once for writing")
            with self._guard.turn(BUSY_SECONDS):
                run_migrations(self._db, version)

    def _check_version(self) -> int:
        """The version of the format; another process may have brought it to a newer one meanwhile."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(schema.MIGRATIONS):
            raise GalleryError(
                f"{self.location}: version {version} of the gallery format; this passerby knows up to "
                f"{len(schema.MIGRATIONS)}: install a newer passerby"
            )
        return int(version)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.location):
            if self._depth == 0:
                if self.file_fault() == OVERWRITTEN:
                    self._check_file()
                self._refresh()
                if not self._guard.lasting:  # else no process that obeys SQLite's locks can have deleted the log
                    self._check_log()
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer at a time, all or nothing; on the disk when the block ends."""
        with self._writing, self._lock, translated(self.location):
            if self._depth:
                yield
                return
            with self._guard.turn(BUSY_SECONDS):
                self._check_writable()
                self._db.execute("BEGIN IMMEDIATE")
                self._depth = 1
                settings = self._memory.settings
                try:
                    self._read_changes()
                    settings = self._memory.settings
                    self._db.execute("UPDATE settings SET revision = revision + 1")
                    yield
                    self._check_before_commit()
                    self._db.execute("COMMIT")
                except BaseException:
                    self._memory.settings = settings
                    self._roll_back()
                    raise
                finally:
                    self._depth = 0
                self._check_log()
                self._copy_back(self._db)
                self._follow_commit()

    def _copy_back(self, db: sqlite3.Connection) -> None:
        """Write a long log back into the file, if that is still the one that the log belongs to."""
        if self.file_fault() == OVERWRITTEN:
            self._check_file()
        if self._guard.pages_in_log() >= PAGES_IN_LOG:
            with suppress(sqlite3.OperationalError):  # a full disk: the change is in the log, which goes on
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _follow_commit(self) -> None:
        """What comes after COMMIT is not part of the change, which is on the disk: a failure must not deny it."""
        try:
            self._refresh(force=True)
        except (StorageError, DamagedGalleryError):
            self._data_version = -1  # the next call reads it, and says so if it cannot
        if self._is_erasure_pending():
            self._empty_log(wait=0.0)

    def _is_erasure_pending(self) -> bool:
        """As the file says: what of it is damaged must not keep somebody else from being erased."""
        try:
            (pending,) = self._db.execute("SELECT erasure_pending FROM settings").fetchone()
        except sqlite3.Error:
            return False
        return bool(pending)

    def _roll_back(self) -> None:
        """End the transaction, unless SQLite has ended it already, as it does after some errors."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _check_writable(self) -> None:
        """SQLite still writes to a file that was deleted, and what is written there is lost."""
        if self._read_only:
            raise StorageError(f"{self.location}: opened for reading only; nothing was changed")
        self._check_file()
        self._check_log()

    def _check_file(self) -> None:
        if fault := self.file_fault():
            if fault == OVERWRITTEN:
                raise StorageError(
                    f"{self.location}: the file {fault} while the gallery was open; nothing was changed; end all "
                    "programs that use it, and bring a backup back with `passerby gallery restore BACKUP "
                    f"{self.location}`, not by copying over it"
                )
            raise StorageError(
                f"{self.location}: the file {fault} while the gallery was open; nothing was changed; put it back, or "
                "open the gallery again"
            )

    def _check_before_commit(self) -> None:
        self._check_file()
        if not self._guard.lasting:  # what is committed to a deleted log might be written back when it is closed
            self._check_log()

    def _check_log(self) -> None:
        """Nothing is acknowledged that stands in a log which other processes do not see."""
        if (fault := self.log_fault()) and not self.file_fault():
            raise StorageError(
                f"{self.location}: its write-ahead log ({self.path.name}-wal, -shm) {fault} while the gallery was "
                "open; this call is not acknowledged; close the gallery and open it again"
            )

    def _refresh(self, *, force: bool = False) -> None:
        """Read what others changed (or we did: `force`)."""
        with translated(self.location):
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            if version == self._data_version and not force:
                return
            self._db.execute("BEGIN")
            try:
                self._read_changes()
            finally:
                self._roll_back()
            self._data_version = version

    def _read_changes(self) -> None:
        """Bring memory up to the open transaction's view of the file."""
        self._check_version()
        self._memory.read_changes(self._db)

    @contextmanager
    def _view(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction that sees the file as it is in memory then.

        That of a change has seen it so when it began. What it changes of observations must be in memory before: their
        columns, and the blocks of vectors that it writes into.
        """
        if self._depth:
            yield self._db
            return
        self._db.execute("BEGIN")
        try:
            self._read_changes()
            yield self._db
        finally:
            self._roll_back()

    def _hold_columns(self) -> None:
        """Have the columns of all observations in memory."""
        if not self._memory.has_columns:
            with self._view() as db:
                self._memory.read_columns(db)

    def _hold_vectors(self, observations: Int64 | None = None) -> None:
        """Have the columns of all observations in memory, and the vectors of these, or of all.

        Raises:
            DamagedGalleryError: some of them are damaged.
            NotInGalleryError: no such observation.
        """
        self._hold_columns()
        if not self._memory.has_vectors(None if observations is None else self._memory.slots_of(observations)):
            with self._view() as db:
                self._memory.read_columns(db)  # somebody may have changed everything meanwhile
                slots = None if observations is None else self._memory.slots_of(observations)
                self._memory.read_vectors(db, slots)

    def load(self) -> None:
        """Read now what searches need, which they would do at the first."""
        with self._reading():
            self._hold_vectors()

    # -- settings and identities -------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """What the gallery knows of itself."""
        with self._reading():
            return self._memory.settings

    def change_settings(self, settings: Settings) -> None:
        """Replace all settings."""
        self._db.execute(
            "UPDATE settings SET dim = ?, fingerprint = ?, threshold = ?, storage = ?, unknowns = ?, "
            "keep_sighting_vectors = ?, sightings_expire_after = ?, templates_per_camera = ?, far = ?, "
            "cohort = ?, camera_means = ?",
            (
                settings.dim,
                settings.fingerprint,
                settings.threshold,
                settings.storage,
                settings.unknowns,
                settings.keep_sighting_vectors,
                settings.sightings_expire_after,
                settings.templates_per_camera,
                settings.far,
                settings.cohort,
                settings.camera_means,
            ),
        )
        self._memory.settings = replace(settings)
        self._revision_of_write()

    def identities(self) -> Mapping[int, IdentityRecord]:
        """All identities by id, those merged into another included."""
        with self._reading():
            return dict(self._memory.identities)

    def identity(self, identity: int) -> IdentityRecord | None:
        """One identity by id."""
        with self._reading():
            return self._memory.identities.get(identity)

    def relatives(self, identities: Iterable[int]) -> Mapping[int, IdentityRecord]:
        """Those of these identities that there are, and all that were merged into them, by id."""
        with self._reading():
            return self._memory.relatives(identities)

    def names(self, identities: Iterable[int]) -> dict[int, str]:
        """Names of those of these identities that there are."""
        with self._reading():
            return {i: self._memory.identities[i].name for i in identities if i in self._memory.identities}

    def find(self, names: Sequence[str]) -> dict[str, IdentityRecord]:
        """The identities of these names, as far as there are any, also if they were merged into another."""
        with self._reading():
            found = {name: self._memory.identity_of(name) for name in names}
            return {name: self._memory.identities[one] for name, one in found.items() if one is not None}

    def put_identity(self, record: IdentityRecord) -> int:
        """Store a new identity (`id` 0) or replace one; its id.

        Raises:
            GalleryRequestError: the name belongs to another identity.
        """
        text = {"name": record.name, "notes": record.notes, "consent": record.consent}
        self._check_name_is_free(record)
        old = self._db.execute("SELECT text FROM identities WHERE id = ?", (record.id,)).fetchone()
        slot = write_text(self._db, text, old[0] if old else None)
        columns = {
            "text": slot,
            "is_unknown": record.unknown,
            "expires": record.expires,
            "created": record.created,
            "merged_into": record.merged_into,
            "revision": self._revision_of_write(),
            "name_hint": name_hint(record.name),
        }
        try:
            return _put_row(self._db, record.id if old else None, columns)
        except sqlite3.IntegrityError:
            raise self._name_taken(record.name) from None

    def _check_name_is_free(self, record: IdentityRecord) -> None:
        """No other identity has the name in another writing; an older version may have let two have it."""
        known = self._memory.identities.get(record.id)
        if known is not None and known.name == record.name:
            return
        rows = self._db.execute(
            "SELECT t.data FROM identities i JOIN texts t ON t.slot = i.text WHERE i.name_hint = ? AND i.id <> ?",
            (name_hint(record.name), record.id),
        )
        for (text,) in rows.fetchall():
            other = read_text(text, self.location)["name"]
            if plain_key(other) == plain_key(record.name):
                raise self._name_taken(other)

    def _name_taken(self, name: str) -> GalleryRequestError:
        return GalleryRequestError(
            f"{self.location}: there is an identity {name!r} already (or one that was merged into another); a name "
            "belongs to one identity, in all its writings"
        )

    def erase_identities(self, identities: Sequence[int]) -> None:
        """Erase identities, their texts, and what the log says of them."""
        revision = self._revision_of_write()
        for identity in identities:
            for (slot,) in self._db.execute("SELECT text FROM identities WHERE id = ?", (identity,)).fetchall():
                erase_text(self._db, slot)
            touching = (identity, identity)
            for (slot,) in self._db.execute(
                "SELECT text FROM events WHERE text IS NOT NULL AND (identity = ? OR other = ?)", touching
            ).fetchall():
                erase_text(self._db, slot)
            self._db.execute("UPDATE events SET detail = '{}', text = NULL WHERE identity = ? OR other = ?", touching)
            self._db.execute("DELETE FROM identities WHERE id = ?", (identity,))
            self._db.execute("INSERT OR REPLACE INTO erased_identities VALUES (?, ?)", (identity, revision))
        note_forgotten(self._db)
        erase_calibrations(self._db)
        self._db.execute("UPDATE settings SET erasure_pending = 1")

    def _revision_of_write(self) -> int:
        if not self._depth:
            raise StorageError(f"{self.location}: changes are made inside a transaction")
        (revision,) = self._db.execute("SELECT revision FROM settings").fetchone()
        return int(revision)

    def _db_of_write(self) -> sqlite3.Connection:
        self._revision_of_write()
        return self._db

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
        revision = self._revision_of_write()
        self._hold_columns()
        count = len(vectors)
        if ids is None:
            (last,) = self._db.execute("SELECT last FROM observation_ids").fetchone()
            self._db.execute("UPDATE observation_ids SET last = ?", (last + count,))
            ids = np.arange(last + 1, last + 1 + count, dtype=np.int64)
        slots = take_slots(self._db, "vectors", "observations", count)
        self._memory.read_vectors(self._db, np.array(slots, np.int64))
        self._write_vectors(np.array(slots, np.int64), vectors)
        pictures = [picture for picture in thumbnails if picture is not None]
        picture_slots = iter(write_thumbnails(self._db, pictures))
        codes = camera_codes(self._db, cameras)
        self._db.executemany(
            "INSERT OR REPLACE INTO observations (slot, id, identity, camera, time, thumbnail, revision) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    slot,
                    identifier,
                    identity,
                    codes[camera],
                    None if moment != moment else moment,
                    None if picture is None else next(picture_slots),
                    revision,
                )
                for slot, identifier, identity, camera, moment, picture in zip(
                    slots, ids.tolist(), identities.tolist(), cameras, times.tolist(), thumbnails, strict=True
                )
            ),
        )
        return ids

    def _write_vectors(self, slots: Int64, vectors: Float32) -> None:
        write_vectors(self._db, slots, vectors, self._memory.settings.storage)

    def move_observations(self, observations: Int64, identity: int) -> None:
        """Give observations to another identity."""
        revision = self._revision_of_write()
        self._hold_columns()
        slots = self._memory.slots_of(observations)
        self._db.executemany(
            "UPDATE observations SET identity = ?, revision = ? WHERE slot = ?",
            ((identity, revision, slot) for slot in slots.tolist()),
        )

    def erase_observations(self, observations: Int64) -> None:
        """Overwrite vectors and thumbnails with zeros; their slots are free again."""
        revision = self._revision_of_write()
        self._hold_columns()
        slots = np.sort(self._memory.slots_of(observations))
        with suppress(DamagedGalleryError):  # a damaged block stays damaged, and so is never in memory
            self._memory.read_vectors(self._db, slots)
        self._write_vectors(slots, np.zeros((len(slots), self._memory.settings.dim), np.float32))
        for slot in slots.tolist():
            (picture,) = self._db.execute("SELECT thumbnail FROM observations WHERE slot = ?", (slot,)).fetchone()
            if picture is not None:
                erase_thumbnail(self._db, picture)
            self._db.execute(
                "UPDATE observations SET identity = NULL, camera = NULL, time = NULL, thumbnail = NULL, revision = ? "
                "WHERE slot = ?",
                (revision, slot),
            )
            self._db.execute("INSERT INTO free_slots VALUES ('vectors', ?)", (slot,))
        erase_calibrations(self._db)
        self._db.execute("UPDATE settings SET erasure_pending = 1")

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        with self._reading():
            self._hold_columns()
            return self._memory.observations(identities)

    def vectors(self, observations: Int64) -> Float32:
        """Vectors [n, D] of observations, in the order asked for."""
        with self._reading():
            wanted = np.asarray(observations, np.int64)
            self._hold_vectors(wanted)
            slots = self._memory.slots_of(wanted)
            return np.zeros((0, 0), np.float32) if self._memory.index is None else self._memory.index.vectors(slots)

    def thumbnails(self, observations: Int64) -> list[bytes | None]:
        """The JPEG of each of these observations, where one was stored."""
        with self._reading():
            self._hold_columns()
            query = "SELECT t.data FROM observations o JOIN thumbnails t ON t.slot = o.thumbnail WHERE o.slot = ?"
            slots = self._memory.slots_of(np.asarray(observations, np.int64)).tolist()
            found = (self._db.execute(query, (slot,)).fetchone() for slot in slots)
            return [bytes(row[0]).rstrip(b"\0") if row else None for row in found]

    def count(self) -> int:
        """Stored observations."""
        with self._reading():
            self._hold_columns()
            return 0 if self._memory.index is None else len(self._memory.index)

    def revision(self) -> Hashable:
        """Differs from what it was wherever something was changed since."""
        with self._reading():
            return (self._memory.generation, self._memory.revision)

    def enrolled_rows(self) -> EnrolledRows:
        """Whose the observations of all enrolled identities are, and which camera took them; by slot."""
        with self._reading():
            self._hold_columns()
            return enrolled_rows(self._memory)

    def search(self, probes: Float32, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; exact."""
        with self._reading():
            self._hold_vectors()
            return self._memory.search(probes, wheres, top=top, score=score)

    # -- what is derived from vectors --------------------------------------------------------------------------------

    def camera_statistics(self, version: int) -> CameraStatistics | None:
        """Camera statistics of a version; None: there are none, or they were erased."""
        with self._reading():
            known = self._memory.statistics
            if known is not None and known.version == version:
                return known
            return statistics_of(self._db, version, self.location)

    def means_version(self) -> int:
        """Version of the camera statistics in force."""
        return self.settings().camera_means

    def put_camera_statistics(self, statistics: CameraStatistics) -> int:
        """Store camera statistics under the next version, which is not in force yet; that version."""
        self._revision_of_write()
        return put_statistics(self._db, statistics)

    def stored_calibration(self, key: str) -> bytes | None:
        """What `store_calibration` kept under this key, if it still is there and sound."""
        with self._reading():
            return read_calibration(self._db, key)

    def store_calibration(self, key: str, data: bytes, revision: Hashable) -> None:
        """Keep what calibration has computed, unless somebody may have been forgotten since, or it cannot be written.

        A change of its own is not made of it: readers need not read anything anew.
        """
        if self._read_only:
            return
        with suppress(StorageError), self._writing, translated(self.location):
            if self._depth:
                if revision == (self._memory.generation, self._memory.revision):
                    write_calibration(self._db, key, data)
                return
            with self._guard.turn(BUSY_SECONDS), self._beside() as db:
                (now,) = db.execute("SELECT revision FROM settings").fetchone()
                if revision == (self._memory.generation, now):
                    write_calibration(db, key, data)

    # -- log ---------------------------------------------------------------------------------------------------------

    def append_event(self, event: Event) -> int:
        """Write to the log; the new event's id."""
        slot = write_text(self._db, event.private, None) if event.private else None
        cursor = self._db.execute(
            "INSERT INTO events (at, action, actor, identity, other, detail, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event.at, event.action, event.actor, event.identity, event.other, json.dumps(dict(event.detail)), slot),
        )
        return int(cursor.lastrowid or 0)

    def append_events(self, events: Sequence[Event]) -> None:
        """Write entries that change nothing, all or none; on the disk when it returns.

        They have a connection of their own, so that searches do not wait for the disk; and what has been read of the
        gallery stays valid.
        """
        with self._writing, translated(self.location):
            if self._depth:
                for event in events:
                    self.append_event(event)
                return
            with self._guard.turn(BUSY_SECONDS), self._beside() as db:
                db.executemany(
                    "INSERT INTO events (at, action, actor, identity, detail) "
                    "VALUES (?, ?, ?, (SELECT id FROM identities WHERE id = ?), ?)",  # it may have been forgotten
                    ((e.at, e.action, e.actor, e.identity, json.dumps(dict(e.detail))) for e in events),
                )

    @contextmanager
    def _beside(self) -> Iterator[sqlite3.Connection]:
        """A transaction of another connection, for what readers need not see; on the disk when the block ends."""
        self._check_writable()
        if self._log_db is None:
            self._db.execute("SELECT 1")  # a closed gallery stays closed
            self._log_db = connect(self.path, read_only=False)
            keep_record_sums(self._log_db)
            self._connections.append(self._log_db)
        db = self._log_db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            self._check_before_commit()
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._check_log()
        self._copy_back(db)

    def events(self, identity: int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log, newest first."""
        condition = "" if identity is None else "WHERE identity = ? OR other = ? "
        return self._read_events(
            f"{condition}ORDER BY e.id DESC LIMIT ?",
            (*(() if identity is None else (identity, identity)), -1 if limit is None else limit),
        )

    def pair_judgements(self) -> list[Event]:
        """Entries of the log with the action "pair" that were not undone, oldest first."""
        return self._read_events("WHERE action = 'pair' AND NOT undone ORDER BY e.id", ())

    def _read_events(self, condition: str, values: Sequence[int]) -> list[Event]:
        with self._reading():
            rows = self._db.execute(
                "SELECT e.id, at, action, actor, identity, other, detail, t.data, undone FROM events e "
                f"LEFT JOIN texts t ON t.slot = e.text {condition}",
                values,
            ).fetchall()
            return [self._event(row) for row in rows]

    def _event(self, row: Sequence[Any]) -> Event:
        try:
            return Event(
                row[0],
                at=float(row[1]),
                action=row[2],
                actor=row[3],
                identity=row[4],
                other=row[5],
                detail=dict(json.loads(row[6])),
                private={} if row[7] is None else read_text(row[7], self.location),
                undone=bool(row[8]),
            )
        except (TypeError, ValueError):
            raise DamagedGalleryError(
                f"{self.location}: damaged: entry {row[0]} of the log cannot be read; {SALVAGE}"
            ) from None

    def mark_undone(self, event: int) -> None:
        """Note that an event was undone."""
        self._db.execute("UPDATE events SET undone = 1 WHERE id = ?", (event,))

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def settle_erasure(self, *, wait: float = _READER_SECONDS) -> str:
        """Empty the write-ahead log, which still holds the pages as they were before; what is pending, or "".

        Args:
            wait: seconds for which a reader of an older state may be in the way.
        """
        with self._writing, self._lock:
            try:
                with translated(self.location):
                    with suppress(DamagedGalleryError):
                        self._refresh(force=True)
                    if self._read_only or not self._is_erasure_pending():
                        return ""
                    if fault := self.file_fault() or self.log_fault():
                        return (
                            f"the file or its write-ahead log {fault}, so the log was not emptied; `purge` when it is "
                            "back"
                        )
                    with self._guard.turn(BUSY_SECONDS):
                        return "" if self._empty_log(wait=wait) else ERASURE_PENDING
            except StorageError:  # the change itself is on the disk
                return ERASURE_PENDING

    def pending_erasure(self) -> str:
        """What of those who were forgotten is still in a file, or ""."""
        with self._reading():
            return ERASURE_PENDING if self._memory.erasure_pending else ""

    def _empty_log(self, *, wait: float) -> bool:
        """Write the log back and truncate it to nothing; False where a reader or the disk is in the way."""
        try:
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * wait)}")
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                self._db.execute("UPDATE settings SET erasure_pending = 0")
                self._memory.erasure_pending = False
        except (sqlite3.OperationalError, sqlite3.InternalError):
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_SECONDS)}")
        return not busy

    def check(self) -> None:
        """Read every page and every vector; GalleryError where something is damaged.

        Raises:
            DamagedGalleryError: something cannot be read, or found.
        """
        with self._lock, translated(self.location):
            if self.file_fault() == OVERWRITTEN:
                self._check_file()
            (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise DamagedGalleryError(f"{self.location}: damaged: {verdict}; {SALVAGE}")
            check_records(self._db, self.location)
            self._memory.clear()
            self._refresh(force=True)
            self._hold_vectors()
            hints = dict(self._db.execute("SELECT id, name_hint FROM identities"))
            if hints != {identity: name_hint(record.name) for identity, record in self._memory.identities.items()}:
                raise DamagedGalleryError(f"{self.location}: damaged: an identity cannot be found by its name")
            self._read_events("ORDER BY e.id", ())
            self.sightings.check()

    def compact(self) -> None:
        """Give the space of free slots back to the file system (rewrites the file)."""
        with self.transaction():
            self._close_gaps()
            self.sightings.drop_free_slots()
            for table, kind in (("thumbnails", "thumbnails"), ("texts", "text")):
                self._db.execute(
                    f"DELETE FROM {table} WHERE slot IN (SELECT slot FROM free_slots WHERE kind = ?)", (kind,)
                )
            self._db.execute("DELETE FROM erased_identities")
            self._db.execute("DELETE FROM free_slots")
            self._db.execute("UPDATE settings SET slot_generation = slot_generation + 1")
        with self._writing, self._lock, translated(self.location), self._guard.turn(BUSY_SECONDS):
            self._db.execute("UPDATE settings SET erasure_pending = 1")  # the transaction above has settled its own
            self._db.execute("VACUUM")
        self.settle_erasure()

    def _close_gaps(self) -> None:
        """Move the last vectors into the free slots before them, and drop the blocks that are empty then."""
        self._hold_columns()
        self._db.execute("DELETE FROM observations WHERE identity IS NULL")
        if self._memory.index is None:
            return
        used = np.flatnonzero(self._memory.index.alive())
        movers = used[used >= len(used)]
        gaps = np.setdiff1d(np.arange(len(used)), used)
        self._memory.read_vectors(self._db, movers)
        self._write_vectors(gaps, self._memory.index.vectors(movers))
        self._db.executemany(
            "UPDATE observations SET slot = ? WHERE slot = ?", zip(gaps.tolist(), movers.tolist(), strict=True)
        )
        blocks = -(-len(used) // VECTORS_PER_BLOCK)
        self._db.execute("DELETE FROM vectors WHERE block >= ?", (blocks,))
        self._db.execute("DELETE FROM vector_sums WHERE block >= ?", (blocks,))
        rest = np.arange(len(used), blocks * VECTORS_PER_BLOCK)
        write_vectors(
            self._db, rest, np.zeros((len(rest), self._memory.settings.dim), np.float32), self._memory.settings.storage
        )

    def backup(self, target: Path) -> None:
        """A consistent copy, while others read and write; it appears only when it is complete.

        Raises:
            GalleryError: the target exists.
        """
        if target.exists():
            raise GalleryError(f"{target}: exists already; a backup does not overwrite")
        remove_partials_of_the_dead(target)
        partial = partial_file(target)
        with self._lock, translated(self.location):
            try:
                copy = sqlite3.connect(partial)
                try:
                    self._db.backup(copy)
                finally:
                    copy.close()
                partial.chmod(PRIVATE)
                sync_file(partial)
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)


def _put_row(db: sqlite3.Connection, identity: int | None, columns: Mapping[str, Any]) -> int:
    if identity is not None:
        changes = ", ".join(f"{column} = ?" for column in columns)
        db.execute(f"UPDATE identities SET {changes} WHERE id = ?", (*columns.values(), identity))
        return identity
    places = ", ".join("?" * len(columns))
    cursor = db.execute(f"INSERT INTO identities ({', '.join(columns)}) VALUES ({places})", tuple(columns.values()))
    return int(cursor.lastrowid or 0)

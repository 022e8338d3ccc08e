"""The embedded store: one SQLite file, exact search in memory.

Every acknowledged change is on the disk (write-ahead log, `synchronous=FULL`). Several processes may read and write the
same file: writers take turns, and readers notice a change by SQLite's `data_version` and read what is new. What is
forgotten is overwritten in place (see schema.py) and the log is emptied, so no byte of it stays in any of the files.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time as clock
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from passerby.errors import DamagedGalleryError, GalleryError, GalleryRequestError, NotInGalleryError, StorageError
from passerby.gallery.probes import THUMBNAIL_BYTES
from passerby.gallery.records import Event, Floats, IdentityRecord, Integers, Observations, Ranking, Score, Where
from passerby.gallery.search import NOBODY, ExactIndex, Mask
from passerby.gallery.stores.file_guard import FileGuard
from passerby.gallery.stores.names import name_hint
from passerby.gallery.stores.protocol import Settings
from passerby.gallery.stores.schema import APPLICATION_ID, MIGRATIONS, PAGE_SIZE, VECTORS_PER_BLOCK
from passerby.gallery.stores.texts import erase_text, read_text, write_text

_BUSY_SECONDS = 30.0
_READER_SECONDS = 3.0
_CHUNK = 8192
_REMEMBERED = 16
_ELSEWHERE = "go back to a backup, or name another file to start a new gallery"
_PRIVATE = 0o600  # biometric data are nobody else's; SQLite gives the files beside it the same mode
_DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


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
        self._guard = FileGuard(path)
        self.inode = self._guard.inode
        self._connections: list[sqlite3.Connection] = []
        # also for who forgets to close: the guard must be the last to go
        self._finish = weakref.finalize(self, _close_files, self._connections, self._guard)
        try:
            with _translated(self.location):
                self._connect()
                self._migrate()
            self._forget_everything_known()
            self._refresh()
        except BaseException:
            self._finish()
            raise

    def _connect(self) -> None:
        self._db = _connect(self.path, read_only=self._read_only)
        self._connections.append(self._db)
        self._check_application()
        if not self._read_only:
            self._db.execute("PRAGMA journal_mode = WAL")  # a copy by other tools may be without
        if _has_log(self._db):
            self._guard.hold()

    def make_writable(self) -> None:
        """Go on as a store that can be written to, if it was opened for reading only."""
        with self._writing, self._lock, _translated(self.location):
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

    def leave_to_parent(self) -> None:
        """In a forked process: let go of the locks' descriptors, and never touch the file again."""
        self.inherited = True
        self._finish.detach()
        self._guard.close_descriptors()

    def close(self) -> None:
        """Close the file; the log is written back when the last process closes."""
        with self._writing, self._lock, _translated(self.location):
            self._finish()

    def file_fault(self) -> str:
        """What has happened to the file since it was opened, or ""."""
        return self._guard.file_fault()

    def log_fault(self) -> str:
        """What has happened to its write-ahead log since it was opened, or ""."""
        return self._guard.log_fault()

    # -- state -------------------------------------------------------------------------------------------------------

    def _forget_everything_known(self) -> None:
        self._data_version = -1
        self._erasure_pending = False
        self._revision = -1
        self._generation = 0
        self._settings = Settings()
        self._index: ExactIndex | None = None
        self._identities: dict[int, IdentityRecord] = {}
        self._names: dict[str, int] = {}
        self._masks: dict[Where, Mask] = {}
        self._cameras: dict[int, str] = {}

    def _check_application(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise GalleryError(f"{self.location}: an SQLite file, but not a gallery (application id {application})")

    def _migrate(self) -> None:
        version = self._check_version()
        if version < len(MIGRATIONS):
            if self._read_only:
                raise GalleryError(f"{self.location}: version {version} of the format: open it once for writing")
            with self._guard.turn(_BUSY_SECONDS):
                _run_migrations(self._db, version)

    def _check_version(self) -> int:
        """The version of the format; another process may have brought it to a newer one meanwhile."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise GalleryError(
                f"{self.location}: version {version} of the gallery format; this passerby knows up to "
                f"{len(MIGRATIONS)}: install a newer passerby"
            )
        return int(version)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, _translated(self.location):
            if self._depth == 0:
                self._refresh()
                if not self._guard.lasting:  # else nobody who keeps to SQLite's locks can have deleted the log
                    self._check_log()
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer at a time, all or nothing; on the disk when the block ends."""
        with self._writing, self._lock, _translated(self.location):
            if self._depth:
                yield
                return
            with self._guard.turn(_BUSY_SECONDS):
                self._check_writable()
                self._db.execute("BEGIN IMMEDIATE")
                self._depth = 1
                settings = self._settings
                try:
                    self._read_changes()
                    settings = self._settings
                    self._db.execute("UPDATE settings SET revision = revision + 1")
                    yield
                    self._check_before_commit()
                    self._db.execute("COMMIT")
                except BaseException:
                    self._settings = settings
                    self._roll_back()
                    raise
                finally:
                    self._depth = 0
                self._check_log()
                self._refresh(force=True)
                if self._erasure_pending:
                    self._empty_log(wait=0.0)

    def _roll_back(self) -> None:
        """End the transaction, unless SQLite has ended it already, as it does after some errors."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _check_writable(self) -> None:
        """SQLite goes on writing to a file that was deleted, and what is written there is lost."""
        if self._read_only:
            raise StorageError(f"{self.location}: opened for reading only; nothing was changed")
        self._check_file()
        self._check_log()

    def _check_file(self) -> None:
        if fault := self.file_fault():
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
        with _translated(self.location):
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
        row = self._db.execute(
            "SELECT revision, slot_generation, dim, fingerprint, threshold, storage, unknowns, erasure_pending "
            "FROM settings"
        ).fetchone()
        if row is None:
            raise DamagedGalleryError(f"{self.location}: damaged: its settings are missing")
        revision, generation, dim, fingerprint, threshold, storage, unknowns, erasure_pending = row
        self._erasure_pending = bool(erasure_pending)
        if generation != self._generation:
            self._forget_everything_known()
            self._generation = generation
        if revision == self._revision:
            return
        if storage not in _DTYPES:
            raise DamagedGalleryError(f"{self.location}: damaged: unknown storage {storage!r}")
        self._settings = Settings(dim, fingerprint, threshold, storage, unknowns)
        if self._index is None and dim:
            self._index = ExactIndex(dim)
        self._cameras.update(
            self._db.execute("SELECT id, name FROM cameras WHERE id > ?", (max(self._cameras, default=0),))
        )
        self._read_identities()
        if self._revision < 0:
            self._read_all_observations()
        else:
            self._read_changed_observations()
        self._revision = revision
        self._masks.clear()

    def _read_identities(self) -> None:
        rows = self._db.execute(
            "SELECT i.id, t.data, i.is_unknown, i.expires, i.created, i.merged_into FROM identities i "
            "LEFT JOIN texts t ON t.slot = i.text WHERE i.revision > ?",
            (self._revision,),
        )
        for identity, text, unknown, expires, created, merged in rows:
            texts = read_text(text, self.location)
            self._drop_name(identity)
            self._names[texts["name"]] = identity
            self._identities[identity] = IdentityRecord(
                identity, texts["name"], texts["notes"], texts["consent"], expires, bool(unknown), created, merged
            )
        for (identity,) in self._db.execute("SELECT id FROM erased_identities WHERE revision > ?", (self._revision,)):
            self._drop_name(identity)
            self._identities.pop(identity, None)

    def _drop_name(self, identity: int) -> None:
        known = self._identities.get(identity)
        if known is not None and self._names.get(known.name) == identity:
            del self._names[known.name]

    def _read_all_observations(self) -> None:
        rows = self._db.execute("SELECT slot, id, identity, camera, time FROM observations ORDER BY slot")
        while chunk := rows.fetchmany(_CHUNK):
            self._put_rows(chunk)
        found = 0
        for block, data in self._db.execute("SELECT block, data FROM vectors ORDER BY block"):
            first = block * VECTORS_PER_BLOCK
            end = min(first + VECTORS_PER_BLOCK, 0 if self._index is None else self._index.size)
            found += self._put_vectors(np.arange(first, end), self._decode_vectors(data)[: max(0, end - first)])
        missing = (0 if self._index is None else len(self._index)) - found
        if missing:
            raise DamagedGalleryError(f"{self.location}: damaged: {missing:,} vectors are missing")

    def _read_changed_observations(self) -> None:
        rows = self._db.execute(  # told which index, or else SQLite goes through all rows to have them in order
            "SELECT slot, id, identity, camera, time FROM observations INDEXED BY observations_revision "
            "WHERE revision > ? ORDER BY slot",
            (self._revision,),
        ).fetchall()
        if not rows:
            return
        self._put_rows(rows)
        slots = np.array([row[0] for row in rows], np.int64)
        for block, part in _by_block(slots):
            data = self._db.execute("SELECT data FROM vectors WHERE block = ?", (block,)).fetchone()
            if data is None:
                raise DamagedGalleryError(f"{self.location}: damaged: the vectors of block {block} are missing")
            self._put_vectors(slots[part], self._decode_vectors(data[0])[slots[part] % VECTORS_PER_BLOCK])

    def _put_rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        slots, ids, identities, cameras, times = (np.array(column) for column in zip(*rows, strict=True))
        self._known_index().put(
            slots, ids, _filled(identities, NOBODY), _filled(cameras, -1), np.asarray(times, np.float64)
        )

    def _decode_vectors(self, data: bytes) -> npt.NDArray[Any]:
        """The vectors of a block, [slots, D], in the type they are stored in."""
        dim, dtype = self._known_index().dim, _DTYPES[self._settings.storage]
        if len(data) != VECTORS_PER_BLOCK * dim * dtype.itemsize:
            raise DamagedGalleryError(
                f"{self.location}: damaged: a block of vectors does not have {dim} numbers a vector"
            )
        return np.frombuffer(data, dtype).reshape(VECTORS_PER_BLOCK, dim)

    def _put_vectors(self, slots: Integers, stored: npt.NDArray[Any]) -> int:
        """Take vectors into the index; how many of them belong to an observation."""
        if not len(slots):
            return 0
        index = self._known_index()
        vectors = stored.astype(np.float32, copy=False)
        expected = index.identities[slots] != NOBODY
        wrong = np.flatnonzero(~(np.abs(np.einsum("ij,ij->i", vectors, vectors) - expected) < 0.01))
        if len(wrong):
            raise DamagedGalleryError(
                f"{self.location}: damaged: the vector in slot {slots[wrong[0]]} is not of unit length"
            )
        index.put_vectors(slots, vectors)
        return int(np.count_nonzero(expected))

    def _known_index(self) -> ExactIndex:
        if self._index is None:
            raise DamagedGalleryError(f"{self.location}: damaged: observations, but no dimension of vectors")
        return self._index

    # -- settings and identities -------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """What the gallery knows of itself."""
        with self._reading():
            return self._settings

    def change_settings(self, settings: Settings) -> None:
        """Replace all settings."""
        self._db.execute(
            "UPDATE settings SET dim = ?, fingerprint = ?, threshold = ?, storage = ?, unknowns = ?",
            (settings.dim, settings.fingerprint, settings.threshold, settings.storage, settings.unknowns),
        )
        self._settings = replace(settings)
        self._revision_of_write()

    def identities(self) -> Mapping[int, IdentityRecord]:
        """All identities by id, those merged into another included."""
        with self._reading():
            return dict(self._identities)

    def identity(self, identity: int) -> IdentityRecord | None:
        """One identity by id."""
        with self._reading():
            return self._identities.get(identity)

    def names(self, identities: Iterable[int]) -> dict[int, str]:
        """Names of those of these identities that there are."""
        with self._reading():
            return {i: self._identities[i].name for i in identities if i in self._identities}

    def find(self, names: Sequence[str]) -> dict[str, IdentityRecord]:
        """The identities of these names, as far as there are any, also if they were merged into another."""
        with self._reading():
            return {name: self._identities[self._names[name]] for name in names if name in self._names}

    def put_identity(self, record: IdentityRecord) -> int:
        """Store a new identity (`id` 0) or replace one; its id."""
        text = {"name": record.name, "notes": record.notes, "consent": record.consent}
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
            return self._put_row(record.id if old else None, columns)
        except sqlite3.IntegrityError:
            raise GalleryRequestError(
                f"{self.location}: there is an identity {record.name!r} already (or one that was merged into "
                "another); a name belongs to one identity"
            ) from None

    def _put_row(self, identity: int | None, columns: Mapping[str, Any]) -> int:
        if identity is not None:
            changes = ", ".join(f"{column} = ?" for column in columns)
            self._db.execute(f"UPDATE identities SET {changes} WHERE id = ?", (*columns.values(), identity))
            return identity
        places = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO identities ({', '.join(columns)}) VALUES ({places})", tuple(columns.values())
        )
        return int(cursor.lastrowid or 0)

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
        self._db.execute("UPDATE settings SET erasure_pending = 1")

    def _revision_of_write(self) -> int:
        if not self._depth:
            raise StorageError(f"{self.location}: changes are made inside a transaction")
        (revision,) = self._db.execute("SELECT revision FROM settings").fetchone()
        return int(revision)

    # -- observations ------------------------------------------------------------------------------------------------

    def add_observations(
        self,
        identities: Integers,
        vectors: Floats,
        cameras: Sequence[str | None],
        times: npt.NDArray[np.float64],
        thumbnails: Sequence[bytes | None],
    ) -> Integers:
        """Store unit vectors [n, D]; their new ids, consecutive."""
        revision = self._revision_of_write()
        count = len(vectors)
        (last,) = self._db.execute("SELECT last FROM observation_ids").fetchone()
        self._db.execute("UPDATE observation_ids SET last = ?", (last + count,))
        ids = np.arange(last + 1, last + 1 + count, dtype=np.int64)
        slots = self._take_slots("vectors", "observations", count)
        self._write_vectors(np.array(slots, np.int64), vectors)
        pictures = [picture for picture in thumbnails if picture is not None]
        picture_slots = iter(self._write_thumbnails(pictures))
        codes = self._camera_codes(cameras)
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

    def _take_slots(self, kind: str, table: str, count: int) -> list[int]:
        """Free slots, then those behind the last one, ascending."""
        free = self._db.execute(
            "SELECT slot FROM free_slots WHERE kind = ? ORDER BY slot LIMIT ?", (kind, count)
        ).fetchall()
        self._db.executemany("DELETE FROM free_slots WHERE kind = ? AND slot = ?", ((kind, slot) for (slot,) in free))
        (start,) = self._db.execute(f"SELECT coalesce(max(slot) + 1, 0) FROM {table}").fetchone()
        return [slot for (slot,) in free] + list(range(start, start + count - len(free)))

    def _write_vectors(self, slots: Integers, vectors: Floats) -> None:
        """Write vectors into their slots (ascending): in place, or into new blocks behind the last one."""
        stored = np.ascontiguousarray(vectors, dtype=_DTYPES[self._settings.storage])
        (blocks,) = self._db.execute("SELECT coalesce(max(block) + 1, 0) FROM vectors").fetchone()
        size = stored.shape[1] * stored.itemsize
        for block, part in _by_block(slots):
            places = slots[part] % VECTORS_PER_BLOCK
            if block >= blocks:
                data = np.zeros((VECTORS_PER_BLOCK, stored.shape[1]), stored.dtype)
                data[places] = stored[part]
                self._db.execute("INSERT INTO vectors VALUES (?, ?)", (block, data.data.cast("B")))
                continue
            with self._db.blobopen("vectors", "data", block) as blob:
                for place, row in zip(places.tolist(), stored[part], strict=True):
                    blob.seek(place * size)
                    blob.write(row.data.cast("B"))

    def _write_thumbnails(self, pictures: Sequence[bytes]) -> list[int]:
        """Write into free slots, then behind the last one; the slots used."""
        slots = self._take_slots("thumbnails", "thumbnails", len(pictures))
        self._db.executemany(
            "INSERT INTO thumbnails VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET data = excluded.data",
            ((slot, _padded(picture)) for slot, picture in zip(slots, pictures, strict=True)),
        )
        return slots

    def _camera_codes(self, cameras: Sequence[str | None]) -> dict[str | None, int | None]:
        codes: dict[str | None, int | None] = {None: None}
        for name in sorted({camera for camera in cameras if camera is not None}):
            self._db.execute("INSERT OR IGNORE INTO cameras (name) VALUES (?)", (name,))
            (codes[name],) = self._db.execute("SELECT id FROM cameras WHERE name = ?", (name,)).fetchone()
        return codes

    def move_observations(self, observations: Integers, identity: int) -> None:
        """Give observations to another identity."""
        revision = self._revision_of_write()
        slots = self._slots(observations)
        self._db.executemany(
            "UPDATE observations SET identity = ?, revision = ? WHERE slot = ?",
            ((identity, revision, slot) for slot in slots.tolist()),
        )

    def erase_observations(self, observations: Integers) -> None:
        """Overwrite vectors and thumbnails with zeros; their slots are free again."""
        revision = self._revision_of_write()
        slots = np.sort(self._slots(observations))
        self._write_vectors(slots, np.zeros((len(slots), self._settings.dim), np.float32))
        for slot in slots.tolist():
            (picture,) = self._db.execute("SELECT thumbnail FROM observations WHERE slot = ?", (slot,)).fetchone()
            if picture is not None:
                self._db.execute("UPDATE thumbnails SET data = zeroblob(length(data)) WHERE slot = ?", (picture,))
                self._db.execute("INSERT INTO free_slots VALUES ('thumbnails', ?)", (picture,))
            self._db.execute(
                "UPDATE observations SET identity = NULL, camera = NULL, time = NULL, thumbnail = NULL, revision = ? "
                "WHERE slot = ?",
                (revision, slot),
            )
            self._db.execute("INSERT INTO free_slots VALUES ('vectors', ?)", (slot,))
        self._db.execute("UPDATE settings SET erasure_pending = 1")

    def _slots(self, observations: Integers) -> Integers:
        """Slots of observation ids, in the order asked for."""
        if not len(observations):
            return np.zeros(0, np.int64)
        slots = np.full(len(observations), -1) if self._index is None else self._index.slots_of(observations)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            raise NotInGalleryError(f"{self.location}: no observation {observations[missing[0]]}")
        return slots

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        with self._reading():
            if self._index is None:
                return Observations(np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0))
            index = self._index
            chosen = index.alive()
            if identities is not None:
                chosen = chosen & np.isin(index.identities[: index.size], np.asarray(list(identities), np.int64))
            slots = np.flatnonzero(chosen)
            slots = slots[np.argsort(index.ids[slots], kind="stable")]
            cameras = tuple(self._cameras.get(code) for code in index.cameras[slots].tolist())
            return Observations(index.ids[slots], index.identities[slots], cameras, index.times[slots].copy())

    def vectors(self, observations: Integers) -> Floats:
        """Vectors [n, D] of observations, in the order asked for."""
        with self._reading():
            slots = self._slots(np.asarray(observations, np.int64))
            return np.zeros((0, 0), np.float32) if self._index is None else self._index.vectors(slots)

    def thumbnail(self, observation: int) -> bytes | None:
        """The JPEG of an observation, if one was stored."""
        with self._reading():
            (slot,) = self._slots(np.array([observation], np.int64)).tolist()
            row = self._db.execute(
                "SELECT t.data FROM observations o JOIN thumbnails t ON t.slot = o.thumbnail WHERE o.slot = ?", (slot,)
            ).fetchone()
            return bytes(row[0]).rstrip(b"\0") if row else None

    def count(self) -> int:
        """Stored observations."""
        with self._reading():
            return 0 if self._index is None else len(self._index)

    def search(self, probes: Floats, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; exact."""
        with self._reading():
            index = self._index
            if index is None:
                nothing = np.zeros(0, np.int64)
                return [Ranking(nothing, np.zeros(0), nothing, (), np.zeros(0), 0, 0) for _ in probes]
            masks = {where: self._mask(index, where) for where in set(wheres)}
            ranked = index.search(probes, [masks[where] for where in wheres], top=top, score=score)
            stored = len(index)
            return [
                Ranking(
                    found.identities,
                    found.distances,
                    index.ids[found.slots],
                    tuple(self._cameras.get(code) for code in index.cameras[found.slots].tolist()),
                    index.times[found.slots],
                    found.considered,
                    stored,
                )
                for found in ranked
            ]

    def _mask(self, index: ExactIndex, where: Where) -> Mask | None:
        """Slots that pass a filter; the masks of recent filters are remembered until something changes."""
        if where.everything:
            return None
        if where not in self._masks:
            if len(self._masks) >= _REMEMBERED:
                self._masks.clear()
            self._masks[where] = self._new_mask(index, where)
        return self._masks[where]

    def _new_mask(self, index: ExactIndex, where: Where) -> Mask:
        mask = index.alive().copy()
        codes = [code for code, name in self._cameras.items() if name in where.exclude_cameras]
        for code in codes:
            mask &= index.cameras[: index.size] != code
        if where.after is not None:
            mask &= index.times[: index.size] >= where.after
        if where.before is not None:
            mask &= index.times[: index.size] <= where.before
        return mask

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
        with self._writing, _translated(self.location):
            if self._depth:
                for event in events:
                    self.append_event(event)
                return
            with self._guard.turn(_BUSY_SECONDS):
                self._check_writable()
                self._write_events(events)
                self._check_log()

    def _write_events(self, events: Sequence[Event]) -> None:
        if self._log_db is None:
            self._db.execute("SELECT 1")  # a closed gallery stays closed
            self._log_db = _connect(self.path, read_only=False)
            self._connections.append(self._log_db)
        db = self._log_db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT INTO events (at, action, actor, identity, detail) "
                "VALUES (?, ?, ?, (SELECT id FROM identities WHERE id = ?), ?)",  # it may have been forgotten
                ((e.at, e.action, e.actor, e.identity, json.dumps(dict(e.detail))) for e in events),
            )
            self._check_before_commit()
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def events(self, identity: int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log, newest first."""
        with self._reading():
            condition = "" if identity is None else "WHERE identity = ? OR other = ? "
            rows = self._db.execute(
                "SELECT e.id, at, action, actor, identity, other, detail, t.data, undone FROM events e "
                f"LEFT JOIN texts t ON t.slot = e.text {condition}ORDER BY e.id DESC LIMIT ?",
                (*(() if identity is None else (identity, identity)), -1 if limit is None else limit),
            ).fetchall()
            return [
                Event(
                    row[0],
                    at=row[1],
                    action=row[2],
                    actor=row[3],
                    identity=row[4],
                    other=row[5],
                    detail=json.loads(row[6]),
                    private={} if row[7] is None else read_text(row[7], self.location),
                    undone=bool(row[8]),
                )
                for row in rows
            ]

    def mark_undone(self, event: int) -> None:
        """Note that an event was undone."""
        self._db.execute("UPDATE events SET undone = 1 WHERE id = ?", (event,))

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def settle_erasure(self) -> str:
        """Empty the write-ahead log, which still holds the pages as they were before; what is pending, or ""."""
        with self._writing, self._lock, _translated(self.location):
            self._refresh(force=True)
            if self._read_only or not self._erasure_pending:
                return ""
            if fault := self.file_fault() or self.log_fault():
                return f"the file or its write-ahead log {fault}, so the log was not emptied; `purge` when it is back"
            with self._guard.turn(_BUSY_SECONDS):
                if self._empty_log(wait=_READER_SECONDS):
                    return ""
            return (
                "another process is reading an older state, so the write-ahead log still holds the erased bytes; "
                "the next change (or `purge`) empties it"
            )

    def _empty_log(self, *, wait: float) -> bool:
        """Write the log back and truncate it to nothing; False where a reader is in the way for longer than `wait`."""
        self._db.execute(f"PRAGMA busy_timeout = {round(1000 * wait)}")
        try:
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                self._db.execute("UPDATE settings SET erasure_pending = 0")
                self._erasure_pending = False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * _BUSY_SECONDS)}")
        return not busy

    def check(self) -> None:
        """Read every page and every vector; GalleryError where something is damaged."""
        with self._lock, _translated(self.location):
            (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise DamagedGalleryError(f"{self.location}: damaged: {verdict}; go back to a backup")
            self._forget_everything_known()
            self._refresh()
            hints = dict(self._db.execute("SELECT id, name_hint FROM identities"))
            if hints != {identity: name_hint(record.name) for identity, record in self._identities.items()}:
                raise DamagedGalleryError(f"{self.location}: damaged: an identity cannot be found by its name")

    def compact(self) -> None:
        """Give the space of free slots back to the file system (rewrites the file)."""
        with self.transaction():
            self._close_gaps()
            for table, kind in (("thumbnails", "thumbnails"), ("texts", "text")):
                self._db.execute(
                    f"DELETE FROM {table} WHERE slot IN (SELECT slot FROM free_slots WHERE kind = ?)", (kind,)
                )
            self._db.execute("DELETE FROM erased_identities")
            self._db.execute("DELETE FROM free_slots")
            self._db.execute("UPDATE settings SET slot_generation = slot_generation + 1, erasure_pending = 1")
        with self._writing, self._lock, _translated(self.location), self._guard.turn(_BUSY_SECONDS):
            self._db.execute("VACUUM")
        self.settle_erasure()

    def _close_gaps(self) -> None:
        """Move the last vectors into the free slots before them, and drop the blocks that are empty then."""
        self._db.execute("DELETE FROM observations WHERE identity IS NULL")
        if self._index is None:
            return
        used = np.flatnonzero(self._index.alive())
        movers = used[used >= len(used)]
        gaps = np.setdiff1d(np.arange(len(used)), used)
        self._write_vectors(gaps, self._index.vectors(movers))
        self._db.executemany(
            "UPDATE observations SET slot = ? WHERE slot = ?", zip(gaps.tolist(), movers.tolist(), strict=True)
        )
        blocks = -(-len(used) // VECTORS_PER_BLOCK)
        self._db.execute("DELETE FROM vectors WHERE block >= ?", (blocks,))
        rest = np.arange(len(used), blocks * VECTORS_PER_BLOCK)
        self._write_vectors(rest, np.zeros((len(rest), self._settings.dim), np.float32))

    def backup(self, target: Path) -> None:
        """A consistent copy, while others read and write; it appears only when it is complete."""
        if target.exists():
            raise GalleryError(f"{target}: exists already; a backup does not overwrite")
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        with self._lock, _translated(self.location):
            try:
                copy = sqlite3.connect(partial)
                try:
                    self._db.backup(copy)
                finally:
                    copy.close()
                partial.chmod(_PRIVATE)
                _sync_file(partial)
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)


def ensure_file(path: Path, real: Path, *, must_exist: bool, storage: str) -> None:
    """See that there is a file that may be a gallery; make a new one, unless it `must_exist`.

    It is not opened here: closing it again would drop the locks of all who have it open in this process.

    Args:
        path: as the user wrote it.
        real: without symbolic links.
        must_exist: a missing file is an error.
        storage: what a new file stores.

    Raises:
        GalleryError: there is none, or it cannot be one.
        StorageError: it cannot be made.
    """
    if real.is_dir():
        raise GalleryError(f"{path}: a folder; a gallery is one file")
    if real.exists():
        if not real.is_file():
            raise GalleryError(f"{path}: not a file")
        if not real.stat().st_size:
            raise GalleryError(f"{path}: is empty (0 bytes); {_ELSEWHERE}")
        return
    if must_exist:
        raise GalleryError(f"{path}: no such gallery")
    if not real.parent.is_dir():
        raise GalleryError(f"{path}: the folder {real.parent} does not exist")
    log = real.with_name(real.name + "-wal")
    if log.exists() and not real.exists():  # SQLite would take the old changes for those of the new file
        raise GalleryError(
            f"{path}: there is no such file, but the write-ahead log of one ({log.name}), which may hold changes: put "
            f"the file back, or delete {log} (and {real.name}-shm) to start a new gallery"
        )
    _create(real, storage)


def _create(path: Path, storage: str) -> None:
    """Make a complete empty gallery beside its place and link it there: there is never half a gallery."""
    if storage not in _DTYPES:
        raise GalleryError(f"unknown storage {storage!r}: expected one of {', '.join(_DTYPES)}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.{clock.monotonic_ns()}.partial")
    try:
        with _translated(str(path)):
            db = sqlite3.connect(partial, isolation_level=None)
            try:
                db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                _run_migrations(db, 0)
                db.execute("UPDATE settings SET storage = ?", (storage,))
            finally:
                db.close()
        partial.chmod(_PRIVATE)
        _sync_file(partial)
        os.link(partial, path)
        _sync_file(path.parent)
    except FileExistsError:
        pass  # another process was quicker: its file is as good
    except OSError as error:
        raise StorageError(f"{path}: the gallery cannot be made ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def _run_migrations(db: sqlite3.Connection, version: int) -> None:
    """Bring a file from `version` to the newest, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()  # another process may have been quicker
        for step in MIGRATIONS[version:]:
            if callable(step):
                step(db)
                continue
            for statement in _statements(step):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit behind our back."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    name = f"file:{quote(str(path.absolute()))}"
    mode = "ro" if read_only else "rw"

    def open_as(options: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{name}?{options}", uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS
        )
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute(f"PRAGMA mmap_size = {2**40}")
            db.execute("PRAGMA schema_version").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    try:
        return open_as(f"mode={mode}")
    except sqlite3.OperationalError:
        # a read-only folder: SQLite cannot make its shared-memory file; without a log the file alone is the truth
        log = path.with_name(path.name + "-wal")
        if not read_only or (log.exists() and log.stat().st_size):
            raise
        return open_as("mode=ro&immutable=1")


def _has_log(db: sqlite3.Connection) -> bool:
    """Whether the connection uses a write-ahead log; one to an `immutable` file does not."""
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    return bool(mode == "wal")


def _close_files(connections: list[sqlite3.Connection], guard: FileGuard) -> None:
    """Close everything, the guard last."""
    try:
        guard.release()
        for connection in reversed(connections):
            connection.close()
    finally:
        guard.close()


def _sync_file(path: Path) -> None:
    """Flush a folder, or a file that nobody has open yet: closing it drops the locks of those who have."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(location: str) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            raise GalleryError(f"{location}: the gallery is closed") from error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            raise DamagedGalleryError(
                f"{location}: is not a gallery, or damaged (not an SQLite file); {_ELSEWHERE}"
            ) from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise DamagedGalleryError(f"{location}: damaged ({error}); go back to a backup") from error
        hints = {
            sqlite3.SQLITE_FULL: "the disk is full",
            sqlite3.SQLITE_READONLY: "the file is read-only",
            sqlite3.SQLITE_BUSY: "another process has been writing for a long time",
            sqlite3.SQLITE_CANTOPEN: "the file or a file beside it cannot be opened",
            sqlite3.SQLITE_IOERR: "the disk failed or is full",
        }
        if code in hints:
            raise StorageError(f"{location}: {hints[code]} ({error}); nothing was changed") from error
        raise GalleryError(f"{location}: cannot be used as a gallery ({error})") from error


def _by_block(slots: Integers) -> Iterator[tuple[int, slice]]:
    """Blocks of ascending slots, each with the part of `slots` that is in it."""
    blocks, starts = np.unique(slots // VECTORS_PER_BLOCK, return_index=True)
    ends = np.r_[starts, len(slots)][1:]
    for block, start, end in zip(blocks.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield block, slice(start, end)


def _padded(picture: bytes) -> bytes:
    if len(picture) > THUMBNAIL_BYTES:
        raise GalleryRequestError(f"thumbnail: {len(picture):,} bytes are more than {THUMBNAIL_BYTES:,}")
    return picture + b"\0" * (THUMBNAIL_BYTES - len(picture))


def _filled(column: npt.NDArray[Any], empty: int) -> Integers:
    """A column that may hold None as integers."""
    if column.dtype != object:
        return column.astype(np.int64)
    return np.array([empty if value is None else value for value in column.tolist()], np.int64)

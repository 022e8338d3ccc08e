"""Sightings in a gallery's file: numbers in a table, and pictures, vectors and sources in slots (see schema.py)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import DamagedGalleryError, NotInGalleryError
from passerby.gallery.drift import NEWEST_OF_CAMERA, has_camera_drifted
from passerby.gallery.stores.protocol import Settings
from passerby.gallery.stores.rows import CameraSightings, SightingRecord, SightingSummary, SightingWhere
from passerby.gallery.stores.sqlite.cameras import Cameras, camera_codes
from passerby.gallery.stores.sqlite.slots import DTYPES, erase_thumbnail, take_slots, write_thumbnails
from passerby.gallery.stores.sqlite.text_slots import erase_text, read_text, write_text
from passerby.gallery.times import FIRST_DATE
from passerby.search.nearest_rows import NearestRows

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

_CHUNK = 4096
_COLUMNS = (
    "s.identity, c.name, s.started, s.ended, s.distance, s.p_value, s.frames, s.first_frame, s.last_frame, t.data, "
    "s.is_new, s.at, s.first_observation, s.last_observation, s.event, s.id, s.thumbnail IS NOT NULL, "
    "s.vector IS NOT NULL"
)


class SqliteSightings:
    """The sightings of one file.

    Args:
        location: what the gallery is called in messages.
        reading: gives the connection, with what others changed, to read from.
        writing: gives the connection inside a transaction; an error outside of one.
        settings: of the gallery.
    """

    def __init__(
        self,
        location: str,
        *,
        reading: Callable[[], AbstractContextManager[sqlite3.Connection]],
        writing: Callable[[], sqlite3.Connection],
        settings: Callable[[], Settings],
    ) -> None:
        self._location = location
        self._reading = reading
        self._writing = writing
        self._settings = settings

    def add(self, record: SightingRecord, vector: Float32 | None, thumbnail: bytes | None) -> int:
        """Store a sighting with its unit vector [D] and its JPEG, as far as there are any; its new id."""
        db = self._writing()
        db.execute("UPDATE sighting_ids SET last = last + 1")
        (identifier,) = db.execute("SELECT last FROM sighting_ids").fetchone()
        (slot,) = take_slots(db, "sightings", "sightings", 1)
        picture = None if thumbnail is None else write_thumbnails(db, [thumbnail])[0]
        source = write_text(db, {"source": record.source}, None) if record.source else None
        db.execute(
            "INSERT OR REPLACE INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                slot,
                identifier,
                record.identity,
                camera_codes(db, [record.camera])[record.camera],
                record.start,
                record.end,
                record.distance,
                record.p_value,
                record.frames,
                record.first_frame,
                record.last_frame,
                record.new,
                record.at,
                record.first_observation,
                record.last_observation,
                record.event,
                picture,
                source,
                None if vector is None else self._write_vector(db, vector),
            ),
        )
        return int(identifier)

    def _write_vector(self, db: sqlite3.Connection, vector: Float32) -> int:
        (slot,) = take_slots(db, "sighting_vectors", "sighting_vectors", 1)
        data = np.ascontiguousarray(vector, DTYPES[self._settings().storage]).tobytes()
        db.execute(
            "INSERT INTO sighting_vectors VALUES (?, ?) ON CONFLICT (slot) DO UPDATE SET data = excluded.data",
            (slot, data),
        )
        return slot

    def select(self, where: SightingWhere, *, newest: int | None = None) -> list[SightingRecord]:
        """Those that pass, or the newest so many of them, by (start, id); those without a time come first."""
        with self._reading() as db:
            tables, condition, values = _question(db, where)
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM {tables} WHERE {condition} ORDER BY s.started DESC, s.id DESC LIMIT ?",
                (*values, -1 if newest is None else newest),
            ).fetchall()
            return [self._record(row) for row in reversed(rows)]

    def get(self, sightings: Sequence[int]) -> list[SightingRecord]:
        """Sightings by id, in the order asked for."""
        with self._reading() as db:
            tables = _tables(Cameras().read(db))
            return [self._record(_row(db, self._location, sighting, _COLUMNS, tables)) for sighting in sightings]

    def count(self, where: SightingWhere) -> int:
        """How many pass."""
        with self._reading() as db:
            _, condition, values = _question(db, where)
            (count,) = db.execute(f"SELECT count(*) FROM sightings s WHERE {condition}", values).fetchone()
            return int(count)

    def summaries(self, identities: Sequence[int] | None = None) -> dict[int, SightingSummary]:
        """Of each of these identities that has sightings, or of all."""
        where = SightingWhere(None if identities is None else frozenset(identities))
        with self._reading() as db:
            tables, condition, values = _question(db, where)
            rows = db.execute(
                "SELECT s.identity, count(*), json_group_array(DISTINCT c.name), min(s.started), max(s.ended) "
                f"FROM {tables} WHERE {condition} GROUP BY s.identity",
                values,
            ).fetchall()
        return {
            identity: SightingSummary(count, frozenset(json.loads(names)) - {None}, first, last)
            for identity, count, names, first, last in rows
        }

    def last_id(self) -> int:
        """The largest id that was given to a sighting; 0: none was."""
        with self._reading() as db:
            (last,) = db.execute("SELECT last FROM sighting_ids").fetchone()
            return int(last)

    def by_camera(self, where: SightingWhere) -> list[CameraSightings]:
        """Counts of each camera, by its name."""
        with self._reading() as db:
            tables, condition, values = _question(db, where)
            rows = db.execute(
                "SELECT c.name, count(*), count(DISTINCT s.identity), sum(s.is_new), min(s.started), max(s.ended) "
                f"FROM {tables} WHERE {condition} GROUP BY c.name ORDER BY c.name",
                values,
            ).fetchall()
            distances = db.execute(
                "SELECT name, distance FROM (SELECT c.name, s.distance, s.id, row_number() OVER "
                f"(PARTITION BY c.name ORDER BY s.id DESC) AS place FROM {tables} "
                f"WHERE {condition} AND s.distance IS NOT NULL AND NOT s.is_new) "
                "WHERE place <= ? ORDER BY id",
                (*values, NEWEST_OF_CAMERA),
            ).fetchall()
        found: dict[str | None, list[float]] = {}
        for camera, distance in distances:
            found.setdefault(camera, []).append(distance)
        return [
            CameraSightings(camera, count, people, new, first, last, has_camera_drifted(found.get(camera, [])))
            for camera, count, people, new, first, last in rows
        ]

    def recent_distances(self, identities: Sequence[int] | None = None, *, newest: int) -> dict[int, list[float]]:
        """Distances of the newest sightings of each identity, in the order in which they were stored."""
        where = SightingWhere(None if identities is None else frozenset(identities))
        with self._reading() as db:
            _, condition, values = _question(db, where)
            rows = db.execute(
                "SELECT identity, distance FROM (SELECT s.identity, s.distance, s.id, row_number() OVER "
                "(PARTITION BY s.identity ORDER BY s.id DESC) AS place FROM sightings s "
                f"WHERE {condition} AND s.distance IS NOT NULL AND NOT s.is_new) WHERE place <= ? ORDER BY id",
                (*values, newest),
            ).fetchall()
        found: dict[int, list[float]] = {}
        for identity, distance in rows:
            found.setdefault(identity, []).append(distance)
        return found

    def move(self, sightings: Int64, identity: int) -> None:
        """Give sightings to another identity."""
        self._writing().executemany(
            "UPDATE sightings SET identity = ? WHERE id = ? AND identity IS NOT NULL",
            ((identity, sighting) for sighting in sightings.tolist()),
        )

    def erase(self, sightings: Int64) -> None:
        """Overwrite pictures, vectors and sources with zeros, and every number; the slots are free again."""
        db = self._writing()
        for sighting in sightings.tolist():
            slot, picture, source, vector, event = _row(
                db, self._location, sighting, "s.slot, s.thumbnail, s.source, s.vector, s.event"
            )
            if picture is not None:
                erase_thumbnail(db, picture)
            if source is not None:
                erase_text(db, source)
            if vector is not None:
                _erase_vector(db, vector)
            db.execute("UPDATE events SET detail = '{}' WHERE id = ?", (event,))
            db.execute(
                "UPDATE sightings SET identity = NULL, camera = NULL, started = NULL, ended = NULL, distance = NULL, "
                "p_value = NULL, frames = 0, first_frame = NULL, last_frame = NULL, at = 0, first_observation = 0, "
                "last_observation = 0, event = 0, thumbnail = NULL, source = NULL, vector = NULL WHERE slot = ?",
                (slot,),
            )
            db.execute("INSERT INTO free_slots VALUES ('sightings', ?)", (slot,))
        if len(sightings):
            db.execute("UPDATE settings SET erasure_pending = 1")

    def erase_vectors(self) -> int:
        """Overwrite the vectors of all sightings; how many there were."""
        db = self._writing()
        slots = [slot for (slot,) in db.execute("SELECT vector FROM sightings WHERE vector IS NOT NULL").fetchall()]
        for slot in slots:
            _erase_vector(db, slot)
        db.execute("UPDATE sightings SET vector = NULL WHERE vector IS NOT NULL")
        db.execute("UPDATE settings SET erasure_pending = 1")
        return len(slots)

    def expired(self, before: float) -> Int64:
        """Ids of those that were seen before a moment."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id FROM sightings WHERE identity IS NOT NULL "
                "AND CASE WHEN ended >= ? THEN ended ELSE at END < ? ORDER BY id",
                (FIRST_DATE, before),
            ).fetchall()
            return np.array([identifier for (identifier,) in rows], np.int64)

    def thumbnails(self, sightings: Sequence[int]) -> list[bytes | None]:
        """The JPEG of each of these sightings, where one was stored."""
        with self._reading() as db:
            found = [_data_of(db, self._location, one, "thumbnail", "thumbnails") for one in sightings]
            return [None if data is None else data.rstrip(b"\0") for data in found]

    def vectors(self, sightings: Sequence[int]) -> list[Float32 | None]:
        """The unit vector [D] of each of these sightings, where one was stored."""
        with self._reading() as db:
            found = [_data_of(db, self._location, one, "vector", "sighting_vectors") for one in sightings]
            return [None if data is None else self._decode([data])[0] for data in found]

    def search(
        self, probes: Float32, where: SightingWhere, *, top: int, means: CameraStatistics | None = None
    ) -> list[tuple[Int64, npt.NDArray[np.float64]]]:
        """For each probe [q, D] the ids of the nearest sightings that have a vector, and their distances; exact.

        The vectors are read piece by piece and not kept: nothing of them stays in memory.
        """
        nearest = NearestRows(probes, top)
        with self._reading() as db:
            for ids, vectors, cameras in self._vectors(db, where):
                nearest.add(ids, vectors if means is None else means.apply(vectors, cameras))
        return nearest.results()

    def _vectors(self, db: sqlite3.Connection, where: SightingWhere) -> Iterator[tuple[Int64, Float32, list[str]]]:
        """Ids, vectors and cameras ("": none) of the sightings that pass and have a vector, piece by piece."""
        tables, condition, values = _question(db, where)
        rows = db.execute(
            f"SELECT s.id, v.data, coalesce(c.name, '') FROM {tables} JOIN sighting_vectors v ON v.slot = s.vector "
            f"WHERE {condition}",
            values,
        )
        while chunk := rows.fetchmany(_CHUNK):
            ids, vectors = np.array([row[0] for row in chunk], np.int64), self._decode([row[1] for row in chunk])
            yield ids, vectors, [row[2] for row in chunk]

    def _decode(self, data: Sequence[bytes]) -> Float32:
        settings = self._settings()
        dtype = DTYPES[settings.storage]
        if any(len(part) != settings.dim * dtype.itemsize for part in data):
            raise DamagedGalleryError(f"{self._location}: damaged: the vector of a sighting has not its length")
        return np.frombuffer(b"".join(data), dtype).reshape(len(data), settings.dim).astype(np.float32)

    def _record(self, row: Sequence[Any]) -> SightingRecord:
        identity, camera, start, end, distance, p_value, frames, first, last, source, new, at, *rest = row
        text = "" if source is None else str(read_text(source, self._location).get("source", ""))
        first_observation, last_observation, event, identifier, picture, vector = rest
        return SightingRecord(
            identity, camera, start, end, distance, p_value, frames, first, last, text, bool(new), at,
            first_observation, last_observation, event, identifier, bool(picture), bool(vector),
        )  # fmt: skip

    def check(self) -> None:
        """Every sighting belongs to an identity, and its vector is of unit length.

        Raises:
            DamagedGalleryError: it is not so.
        """
        with self._reading() as db:
            (lost,) = db.execute(
                "SELECT count(*) FROM sightings WHERE identity IS NOT NULL "
                "AND identity NOT IN (SELECT id FROM identities)"
            ).fetchone()
            if lost:
                raise DamagedGalleryError(f"{self._location}: damaged: {lost:,} sightings of nobody")
            self.select(SightingWhere())
            found = 0
            for ids, vectors, _ in self._vectors(db, SightingWhere(with_vector=True)):
                wrong = np.flatnonzero(~(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) < 0.01))
                if len(wrong):
                    raise DamagedGalleryError(
                        f"{self._location}: damaged: the vector of sighting {ids[wrong[0]]} is not of unit length"
                    )
                found += len(ids)
            if found != self.count(SightingWhere(with_vector=True)):
                raise DamagedGalleryError(f"{self._location}: damaged: vectors of sightings are missing")

    def drop_free_slots(self) -> None:
        """Delete the rows of erased sightings and vectors; the file is rewritten afterwards."""
        db = self._writing()
        db.execute("DELETE FROM sightings WHERE identity IS NULL")
        db.execute(
            "DELETE FROM sighting_vectors WHERE slot NOT IN (SELECT vector FROM sightings WHERE vector NOT NULL)"
        )


def _question(db: sqlite3.Connection, where: SightingWhere) -> tuple[str, str, list[Any]]:
    """The tables that are asked, what lets the same sightings pass, and its values."""
    cameras = Cameras().read(db)
    conditions, values = ["s.identity IS NOT NULL"], list[Any]()
    numbers = None if where.cameras is None else cameras.numbers(where.cameras)
    for column, chosen in (("s.identity", where.identities), ("s.camera", numbers)):
        if chosen is not None:
            conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(chosen)))
    if where.after is not None:
        conditions.append("s.ended >= ?")
        values.append(where.after)
    if where.before is not None:
        conditions.append("s.started <= ?")
        values.append(where.before)
    if where.started_after is not None:
        conditions.append("s.started >= ?")
        values.append(where.started_after)
    if where.newer_than is not None:
        conditions.append("s.id > ?")
        values.append(where.newer_than)
    if where.with_vector:
        conditions.append("s.vector IS NOT NULL")
    return _tables(cameras), " AND ".join(conditions), values


def _tables(cameras: Cameras) -> str:
    camera = cameras.one_number("s.camera")
    return f"sightings s LEFT JOIN cameras c ON c.id = {camera} LEFT JOIN texts t ON t.slot = s.source"


def _row(db: sqlite3.Connection, location: str, sighting: int, columns: str, tables: str = "sightings s") -> Any:
    row = db.execute(
        f"SELECT {columns} FROM {tables} WHERE s.id = ? AND s.identity IS NOT NULL", (int(sighting),)
    ).fetchone()
    if row is None:
        raise NotInGalleryError(f"{location}: no sighting {sighting}")
    return row


def _data_of(db: sqlite3.Connection, location: str, sighting: int, column: str, table: str) -> bytes | None:
    """What a table holds in the slot that a column of a sighting names; None: it names none."""
    (slot,) = _row(db, location, sighting, f"s.{column}")
    row = db.execute(f"SELECT data FROM {table} WHERE slot = ?", (slot,)).fetchone()
    return None if row is None else bytes(row[0])


def _erase_vector(db: sqlite3.Connection, slot: int) -> None:
    db.execute("UPDATE sighting_vectors SET data = zeroblob(length(data)) WHERE slot = ?", (slot,))
    db.execute("INSERT INTO free_slots VALUES ('sighting_vectors', ?)", (slot,))

"""Sightings of a gallery as rows of one collection: what is filtered by in columns, the rest as a JSON body.

Every collection of Milvus has vectors in all rows: a sighting without one has zeros, and `has_vector` 0.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import NotInGalleryError, StorageError
from passerby.gallery.drift import NEWEST_OF_CAMERA, has_camera_drifted
from passerby.gallery.stores.milvus.cameras import CameraNames
from passerby.gallery.stores.milvus.connection import MAX_LIMIT, ROWS_AT_ONCE, Connection
from passerby.gallery.stores.milvus.filters import EVERYTHING, stored_time, text_key
from passerby.gallery.stores.milvus.newest import Rows
from passerby.gallery.stores.milvus.schema import make_sightings
from passerby.gallery.stores.rows import CameraSightings, SightingRecord, SightingSummary, SightingWhere
from passerby.gallery.times import FIRST_DATE

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

_COLUMNS = ["id", "identity", "body", "has_vector"]
_WHEN_AND_WHERE = ["identity", "camera_key", "start", "end"]
_FEW = 200  # so many rows of an identity are read without being counted first
_NO_TIME = stored_time(math.nan) / 2  # what is not above it is not known


class MilvusSightings:
    """The collection of sightings, which exists from the first one on.

    Args:
        connection: of the gallery.
        reversals: receives for each write what takes it back.
        cameras: of the gallery.
        transaction: whether one is open.
        new_id: gives the id of a new sighting.
        dim: gives the numbers in a vector.
        erased: called when something was erased.
        clear_event: empties the details of an entry of the log.
    """

    def __init__(
        self,
        connection: Connection,
        reversals: list[Callable[[], object]],
        cameras: CameraNames,
        *,
        transaction: Callable[[], bool],
        new_id: Callable[[], int],
        dim: Callable[[], int],
        erased: Callable[[], None],
        clear_event: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = connection.sightings_name
        self._reversals = reversals
        self._transaction = transaction
        self._new_id = new_id
        self._dim = dim
        self._erased = erased
        self._clear_event = clear_event
        self._last = 0
        self._names = cameras
        self._cameras: dict[int, str | None] = {}

    @property
    def exist(self) -> bool:
        """Whether the collection exists, whichever process has made it."""
        with self._use():
            return self._connection.has(self._name)

    def _use(self) -> AbstractContextManager[None]:
        return self._connection.use()

    def _check_transaction(self) -> None:
        if not self._transaction():
            raise StorageError(f"{self._connection.location}: changes are made inside a transaction")

    def add(self, record: SightingRecord, vector: Float32 | None, thumbnail: bytes | None) -> int:
        """Store a sighting with its unit vector [D] and its JPEG, as far as there are any; its new id."""
        self._check_transaction()
        dim = self._dim()
        if not self.exist:
            make_sightings(self._connection, dim)
        identifier = self._new_id()
        stored = replace(
            record,
            camera=self._names.one(record.camera),
            id=identifier,
            has_thumbnail=thumbnail is not None,
            has_vector=vector is not None,
        )
        row = {
            **_columns(stored),
            "thumbnail": "" if thumbnail is None else base64.b64encode(thumbnail).decode(),
            "vector": np.zeros(dim, np.float32) if vector is None else np.asarray(vector, np.float32),
        }
        self._reversals.append(partial(self._client.delete, self._name, ids=[identifier]))
        self._client.insert(self._name, [row])
        return identifier

    def select(self, where: SightingWhere, *, newest: int | None = None) -> list[SightingRecord]:
        """Those that pass, or the newest so many of them, by (start, id); those without a time come first."""
        if not self.exist:
            return []
        with self._use():
            if newest is None:
                rows = self._connection.query(self._name, self._condition(where), _COLUMNS)
            else:
                rows = self._newest(self._condition(where), newest)
        records = sorted((self._record(row) for row in rows), key=_order)
        return records if newest is None else records[max(0, len(records) - newest) :]

    def _newest(self, condition: str, wanted: int) -> list[dict[str, Any]]:
        """The newest so many rows, and some others."""
        found = self._rows_by("start", f"({condition}) and start > {_NO_TIME!r}", then="id").first(wanted, _COLUMNS)
        if len(found) < wanted:
            timeless = self._rows_by("id", f"({condition}) and start <= {_NO_TIME!r}")
            found += timeless.first(wanted - len(found), _COLUMNS)
        return found

    def _rows_by(self, field: str, condition: str, *, oldest: bool = False, then: str = "") -> Rows:
        return Rows(self._connection, self._name, condition, field, oldest=oldest, then=then)

    def get(self, sightings: Sequence[int]) -> list[SightingRecord]:
        """Sightings by id, in the order asked for."""
        return [self._record(row) for row in self._rows([int(sighting) for sighting in sightings], _COLUMNS)]

    def _rows(self, sightings: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        with self._use():
            for start in range(0, len(sightings) if self.exist else 0, ROWS_AT_ONCE):
                part = sightings[start : start + ROWS_AT_ONCE]
                found.update((row["id"], row) for row in self._connection.by_ids(self._name, part, fields))
        for sighting in sightings:
            if sighting not in found:
                raise NotInGalleryError(f"{self._connection.location}: no sighting {sighting}")
        return [found[sighting] for sighting in sightings]

    def count(self, where: SightingWhere) -> int:
        """How many pass."""
        if not self.exist:
            return 0
        with self._use():
            return self._connection.count(self._name, self._condition(where))

    def summaries(self, identities: Sequence[int] | None = None) -> dict[int, SightingSummary]:
        """Of each of these identities that has sightings, or of all; those of all read a few numbers of each sighting.

        Those of some read no more rows where an identity has more sightings.
        """
        if not self.exist or (identities is not None and not len(identities)):
            return {}
        where = SightingWhere(None if identities is None else frozenset(identities))
        with self._use():
            rows = self._rows_of(where, _WHEN_AND_WHERE)
            if rows is not None:
                return self._summaries_of_rows(rows)
            found = {identity: self._summary(identity) for identity in sorted(where.identities or ())}
            return {identity: summary for identity, summary in found.items() if summary.count}

    def _rows_of(self, where: SightingWhere, fields: Sequence[str]) -> list[dict[str, Any]] | None:
        """The rows of some identities, or of all; None: many rows of some, which are better not read."""
        condition = self._condition(where)
        if where.identities is None:
            return self._connection.query(self._name, condition, fields)
        few = self._connection.some(self._name, condition, fields, _FEW + 1)
        if len(few) <= _FEW:
            return few
        if self._connection.count(self._name, condition) > ROWS_AT_ONCE:
            return None
        return self._connection.query(self._name, condition, fields)

    def _summaries_of_rows(self, rows: Sequence[dict[str, Any]]) -> dict[int, SightingSummary]:
        found: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row["identity"], []).append(row)
        return {
            identity: SightingSummary(
                len(own),
                self._camera_names({row["camera_key"] for row in own}),
                min((row["start"] for row in own if row["start"] > _NO_TIME), default=None),
                max((row["end"] for row in own if row["end"] > _NO_TIME), default=None),
            )
            for identity, own in found.items()
        }

    def _summary(self, identity: int) -> SightingSummary:
        own = f"identity == {identity}"
        count = self._connection.count(self._name, own)
        first = self._rows_by("start", f"{own} and start > {_NO_TIME!r}", oldest=True, then="id").first(1, ["start"])
        last = self._rows_by("end", f"{own} and end > {_NO_TIME!r}", then="id").first(1, ["end"])
        cameras: set[int] = set()
        while others := self._connection.some(
            self._name, f"{own} and camera_key not in {sorted(cameras)}" if cameras else own, ["camera_key"], 1
        ):
            cameras.add(int(others[0]["camera_key"]))
        return SightingSummary(
            count,
            self._camera_names(cameras),
            min((float(row["start"]) for row in first), default=None),
            max((float(row["end"]) for row in last), default=None),
        )

    def _camera_names(self, keys: Iterable[int]) -> frozenset[str]:
        for key in set(keys) - self._cameras.keys():
            (row,) = self._connection.some(self._name, f"camera_key == {key}", ["body"], 1)
            self._cameras[key] = self._names.one(json.loads(row["body"])["camera"])
        return frozenset(name for key in keys if (name := self._cameras[key]) is not None)

    def last_id(self) -> int:
        """The largest id that was given to a sighting, as far as this process knows or it is there; 0: none was."""
        if self.exist:
            with self._use():
                newer = self._rows_by("id", f"id > {self._last}").first(1, ["id"])
            self._last = max((int(row["id"]) for row in newer), default=self._last)
        return self._last

    def by_camera(self, where: SightingWhere) -> list[CameraSightings]:
        """Counts of each camera, by its name."""
        found: dict[str, list[SightingRecord]] = {}
        for record in self.select(where):
            found.setdefault(record.camera or "", []).append(record)
        return [
            CameraSightings(
                camera or None,
                len(records),
                len({record.identity for record in records}),
                sum(record.new for record in records),
                min((record.start for record in records if record.start is not None), default=None),
                max((record.end for record in records if record.end is not None), default=None),
                has_camera_drifted(_distances(records)[-NEWEST_OF_CAMERA:]),
            )
            for camera, records in sorted(found.items())
        ]

    def recent_distances(self, identities: Sequence[int] | None = None, *, newest: int) -> dict[int, list[float]]:
        """Distances of the newest sightings of each identity, in the order in which they were stored."""
        if not self.exist or (identities is not None and not len(identities)):
            return {}
        where = SightingWhere(None if identities is None else frozenset(identities))
        with self._use():
            rows = self._rows_of(where, _COLUMNS)
            if rows is None:
                found = {identity: self._recent_distances(identity, newest) for identity in identities or ()}
                return {identity: distances for identity, distances in found.items() if distances}
        by_identity: dict[int, list[SightingRecord]] = {}
        for record in sorted((self._record(row) for row in rows), key=_order):
            by_identity.setdefault(record.identity, []).append(record)
        distances = {identity: _distances(records)[-newest:] for identity, records in by_identity.items()}
        return {identity: values for identity, values in distances.items() if values}

    def _recent_distances(self, identity: int, newest: int) -> list[float]:
        """Those of one identity, from the newest sightings backwards."""
        found: list[float] = []
        condition = f"identity == {identity}"
        while len(found) < newest:
            rows = self._rows_by("id", condition).first(newest, _COLUMNS)
            if not rows:
                break
            found = _distances([self._record(row) for row in rows]) + found
            condition = f"identity == {identity} and id < {min(row['id'] for row in rows)}"
        return found[-newest:]

    def move(self, sightings: Int64, identity: int) -> None:
        """Give sightings to another identity."""
        self._check_transaction()
        self._rewrite(sightings.tolist(), lambda record: replace(record, identity=identity))

    def _rewrite(
        self, sightings: Sequence[int], changed: Callable[[SightingRecord], SightingRecord], *, vector: bool = True
    ) -> None:
        for start in range(0, len(sightings), ROWS_AT_ONCE):
            rows = self._rows(sightings[start : start + ROWS_AT_ONCE], ["*"])
            self._reversals.append(partial(self._client.upsert, self._name, rows))
            kept = {} if vector else {"vector": np.zeros(self._dim(), np.float32)}
            self._client.upsert(self._name, [{**row, **_columns(changed(self._record(row))), **kept} for row in rows])

    def erase(self, sightings: Int64) -> None:
        """Erase sightings with their pictures, vectors and sources, and what the log says of each."""
        self._check_transaction()
        if not len(sightings):
            return
        for record in self.get(sightings.tolist()):
            if record.event:
                self._clear_event(record.event)
        for start in range(0, len(sightings), ROWS_AT_ONCE):
            self._client.delete(self._name, ids=sightings[start : start + ROWS_AT_ONCE].tolist())
        self._erased()

    def erase_vectors(self) -> int:
        """Erase the vectors of all sightings; how many there were."""
        self._check_transaction()
        ids = [record.id for record in self.select(SightingWhere(with_vector=True))]
        self._rewrite(ids, lambda record: replace(record, has_vector=False), vector=False)
        self._erased()
        return len(ids)

    def expired(self, before: float) -> Int64:
        """Ids of those that were seen before a moment."""
        if not self.exist:
            return np.zeros(0, np.int64)
        seen = f"(end >= {FIRST_DATE!r} and end < {before!r}) or (end < {FIRST_DATE!r} and stored < {before!r})"
        with self._use():
            rows = self._connection.query(self._name, seen, ["id"])
        return np.array(sorted(row["id"] for row in rows), np.int64)

    def thumbnails(self, sightings: Sequence[int]) -> list[bytes | None]:
        """The JPEG of each of these sightings, where one was stored."""
        rows = self._rows([int(sighting) for sighting in sightings], ["id", "thumbnail"])
        return [base64.b64decode(row["thumbnail"]) or None for row in rows]

    def vectors(self, sightings: Sequence[int]) -> list[Float32 | None]:
        """The unit vector [D] of each of these sightings, where one was stored."""
        rows = self._rows([int(sighting) for sighting in sightings], ["id", "has_vector", "vector"])
        return [np.asarray(row["vector"], np.float32) if row["has_vector"] else None for row in rows]

    def search(
        self, probes: Float32, where: SightingWhere, *, top: int, means: CameraStatistics | None = None
    ) -> list[tuple[Int64, npt.NDArray[np.float64]]]:
        """For each probe [q, D] the ids of the nearest sightings that have a vector, and their distances; exact."""
        if not self.exist:
            return [(np.zeros(0, np.int64), np.zeros(0)) for _ in probes]
        with self._use():
            answers = self._client.search(
                self._name,
                data=list(probes),
                filter=self._condition(replace(where, with_vector=True)),
                limit=min(top, MAX_LIMIT),
                search_params={"metric_type": "L2"},
                consistency_level="Strong",
            )
        found = [sorted((max(hit["distance"], 0.0) ** 0.5, hit["id"]) for hit in answer) for answer in answers]
        return [
            (np.array([identifier for _, identifier in hits], np.int64), np.array([distance for distance, _ in hits]))
            for hits in found
        ]

    def _condition(self, where: SightingWhere) -> str:
        """The expression that lets the same sightings pass as `where`."""
        if where.cameras is not None:
            where = replace(where, cameras=self._names.all_writings(where.cameras))
        return _condition(where)

    def _record(self, row: dict[str, Any]) -> SightingRecord:
        record = _record(row)
        return replace(record, camera=self._names.one(record.camera))


def _columns(record: SightingRecord) -> dict[str, Any]:
    """The row of a sighting but for its picture and vector."""
    body = {key: value for key, value in asdict(record).items() if key not in ("id", "identity", "has_vector")}
    return {
        "id": record.id,
        "identity": record.identity,
        "camera_key": 0 if record.camera is None else text_key(record.camera),
        "has_vector": int(record.has_vector),
        "start": stored_time(math.nan if record.start is None else record.start),
        "end": stored_time(math.nan if record.end is None else record.end),
        "stored": record.at,
        "body": json.dumps(body, ensure_ascii=False),
    }


def _record(row: dict[str, Any]) -> SightingRecord:
    body = json.loads(row["body"])
    return SightingRecord(
        **{**body, "id": row["id"], "identity": row["identity"], "has_vector": bool(row["has_vector"])}
    )


def _order(record: SightingRecord) -> tuple[float, int]:
    return (-math.inf if record.start is None else record.start, record.id)


def _condition(where: SightingWhere) -> str:
    """The expression that lets the same sightings pass as `where`."""
    conditions = []
    if where.identities is not None:
        conditions.append(f"identity in {sorted(where.identities)}")
    if where.cameras is not None:
        conditions.append(f"camera_key in {sorted(text_key(name) for name in where.cameras)}")
    if where.after is not None:
        conditions.append(f"end >= {where.after!r}")
    if where.before is not None:
        conditions.append(f"start <= {where.before!r} and start > {_NO_TIME!r}")
    if where.started_after is not None:
        conditions.append(f"start >= {where.started_after!r}")
    if where.newer_than is not None:
        conditions.append(f"id > {where.newer_than}")
    if where.with_vector:
        conditions.append("has_vector == 1")
    return " and ".join(conditions) or EVERYTHING


def _distances(records: Sequence[SightingRecord]) -> list[float]:
    """To people who were known already, in the order in which the sightings were stored."""
    ordered = sorted(records, key=lambda record: record.id)
    return [record.distance for record in ordered if record.distance is not None and not record.new]

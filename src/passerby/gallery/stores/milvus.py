"""The distributed store: Milvus, or its embedded edition (a path ending in ".db").

Two collections: NAME holds one row for each observation (vector, identity, camera, time, encoder), NAME_records the
settings, identities and the log as small JSON bodies. All reads ask for strong consistency, so a change is seen by
whoever reads after it was acknowledged.

What differs from the embedded store, since Milvus has no transactions: a change that fails half-way is taken back
step by step (not if the process dies in between; the log entry is written last). Names are unique all the same: who has
written one looks whether there is another of it, and takes its change back if so. Two processes that make the same new
name in the same instant may both be refused; they can never both succeed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import math
import secrets
import threading
import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from passerby.errors import GalleryError, GalleryRequestError, MissingExtraError, NotInGalleryError, StorageError
from passerby.gallery.records import Event, Floats, IdentityRecord, Integers, Observations, Ranking, Score, Where
from passerby.gallery.search import mean_of_nearest
from passerby.gallery.stores.names import free_name
from passerby.gallery.stores.protocol import Settings

log = logging.getLogger("passerby")

_FORMAT = 'key == "format:0"'  # written when names are known to be unique
_NO_TIME = -1e300
_LINKS, _BUILD_EFFORT = 16, 200  # HNSW's M and efConstruction
_MAX_LIMIT = 16_384  # Milvus' bound on the results of one search, and on `ef` for most versions
_EXACT_ROWS = 2_000  # a filter that lets no more pass is answered exactly, without the index
_INSERT_ROWS = 1_000
_COUNT_SECONDS = 5.0  # how long the size of a filter's result is believed (it sets the effort of a search)
_EPOCH_MS = 1_767_225_600_000  # 2026-01-01; ids are milliseconds since then and 14 bits: below 2**53 until 2043
_COLUMNS = ["id", "identity", "camera", "time"]


class MilvusStore:
    """A gallery in Milvus.

    Args:
        location: "milvus://[user:password@]host:port/NAME", or a path ending in ".db" for milvus-lite.
        read_only: refuse every change.

    Raises:
        MissingExtraError: pymilvus is not installed.
        GalleryError: the address is not of this form, or NAME is a collection of something else.
        StorageError: the server cannot be reached.
    """

    def __init__(self, location: str, *, read_only: bool = False) -> None:
        self.location = _without_password(location)
        self._read_only = read_only
        self._lock = threading.RLock()
        self._depth = 0
        self._reversals: list[Callable[[], object]] = []
        self._pending: dict[str, dict[str, Any]] = {}
        self._named: dict[int, str] = {}
        self._last_id = 0
        self._erased = False
        self._counts: dict[Where, tuple[float, int]] = {}
        self._embedded = not location.startswith("milvus://")
        self._client, self._name = _connect(location, read_only=read_only)
        self._records_name = f"{self._name}_records"
        with self._translated():
            self._open_records()
            self._has_vectors = bool(self._client.has_collection(self._name))
            if not read_only:
                self._make_names_unique()

    def close(self) -> None:
        """Close the connection (milvus-lite: and the file)."""
        with self._lock, self._translated():
            self._client.close()

    # -- collections -------------------------------------------------------------------------------------------------

    def _open_records(self) -> None:
        if self._client.has_collection(self._records_name):
            fields = {f["name"] for f in self._client.describe_collection(self._records_name)["fields"]}
            if "name_key" not in fields:
                raise GalleryError(f"{self.location}: the collection {self._records_name!r} is not a gallery's")
            return
        if self._read_only:
            raise GalleryError(f"{self.location}: no such gallery")
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("kind", DataType.VARCHAR, max_length=16)
        schema.add_field("number", DataType.INT64)
        schema.add_field("identity", DataType.INT64)
        schema.add_field("other", DataType.INT64)
        schema.add_field("name_key", DataType.INT64)
        schema.add_field("body", DataType.VARCHAR, max_length=65_535)
        schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants a vector in every collection
        index = self._client.prepare_index_params()
        index.add_index("unused", index_type="FLAT", metric_type="L2")
        self._client.create_collection(
            self._records_name, schema=schema, index_params=index, consistency_level="Strong"
        )

    def _make_vectors(self, dim: int) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("identity", DataType.INT64)
        schema.add_field("camera", DataType.VARCHAR, max_length=1024)
        schema.add_field("camera_key", DataType.INT64)
        schema.add_field("time", DataType.DOUBLE)
        schema.add_field("encoder", DataType.VARCHAR, max_length=512)
        schema.add_field("thumbnail", DataType.VARCHAR, max_length=8192)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = self._client.prepare_index_params()
        # squared L2 is computed from differences, so equal vectors are at distance 0
        index.add_index(
            "vector", index_type="HNSW", metric_type="L2", params={"M": _LINKS, "efConstruction": _BUILD_EFFORT}
        )
        old = str(self._client.get_server_version()).startswith("v2.3") if not self._embedded else False
        for field in ("identity", "camera_key", "time"):
            index.add_index(field, index_type="STL_SORT" if old else "INVERTED")
        self._client.create_collection(self._name, schema=schema, index_params=index, consistency_level="Strong")
        self._has_vectors = True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, RpcError) as error:
            raise StorageError(f"{self.location}: Milvus failed or cannot be reached ({error})") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer of this process at a time; what was done is taken back if the block fails."""
        with self._lock, self._translated():
            if self._read_only:
                raise StorageError(f"{self.location}: opened for reading only; nothing was changed")
            self._depth += 1
            try:
                yield
                self._write_pending()
                if self._depth == 1:
                    self._check_names()
            except BaseException:
                if self._depth == 1:
                    self._pending.clear()
                    for reverse in reversed(self._reversals):
                        reverse()
                raise
            finally:
                self._depth -= 1
                self._counts.clear()
                if not self._depth:
                    self._reversals.clear()
                    self._named.clear()

    def _new_ids(self, count: int) -> int:
        """The first of `count` consecutive ids: by the clock, so that writers need not ask each other."""
        now = (clock.time_ns() // 1_000_000 - _EPOCH_MS) << 14 | secrets.randbelow(1 << 13)
        first = max(now, self._last_id + 1)
        self._last_id = first + count - 1
        return first

    # -- records -----------------------------------------------------------------------------------------------------

    def _query(self, collection: str, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """All rows that match, however many."""
        asked = {"filter": condition, "output_fields": list(fields), "consistency_level": "Strong"}
        # one request where that is enough; milvus-lite has no bound, and no iterators
        limit = {} if self._embedded else {"limit": _MAX_LIMIT}
        found = [dict(row) for row in self._client.query(collection, **asked, **limit)]
        if self._embedded or len(found) < _MAX_LIMIT:
            return found
        iterator = self._client.query_iterator(collection, batch_size=1000, **asked)
        rows: list[dict[str, Any]] = []
        try:
            while batch := iterator.next():
                rows += batch
        finally:
            iterator.close()
        return rows

    def _bodies(self, condition: str) -> list[tuple[int, dict[str, Any]]]:
        self._write_pending()
        rows = self._query(self._records_name, condition, ["number", "body"])
        return [(row["number"], json.loads(row["body"])) for row in sorted(rows, key=lambda row: int(row["number"]))]

    def _write_record(
        self,
        kind: str,
        number: int,
        body: Mapping[str, Any],
        *,
        identity: int | None = None,
        other: int | None = None,
        name: str | None = None,
        new: bool = False,
    ) -> None:
        key = f"{kind}:{number}"
        row = {
            "key": key,
            "kind": kind,
            "number": number,
            "identity": identity or 0,
            "other": other or 0,
            "name_key": 0 if name is None else _key(name),
            "body": json.dumps(body, ensure_ascii=False),
            "unused": [0.0, 0.0],
        }
        known = self._pending.get(key)
        if new:
            self._reversals.append(partial(self._client.delete, self._records_name, ids=[key]))
        elif key not in self._pending:
            before = self._client.query(self._records_name, ids=[key], output_fields=["*"], consistency_level="Strong")
            old = [{**dict(found), "unused": [0.0, 0.0]} for found in before]
            known = old[0] if old else None
            self._reversals.append(
                partial(self._client.upsert, self._records_name, old)
                if old
                else partial(self._client.delete, self._records_name, ids=[key])
            )
        if name is not None and (known is None or known["name_key"] != row["name_key"]):
            self._named[number] = name
        self._pending[key] = row

    def _write_pending(self) -> None:
        """Send the records that wait: together, since each round trip costs some milliseconds."""
        rows = list(self._pending.values())
        self._pending.clear()
        for start in range(0, len(rows), _INSERT_ROWS):
            self._client.upsert(self._records_name, rows[start : start + _INSERT_ROWS])

    def settings(self) -> Settings:
        """What the gallery knows of itself."""
        with self._lock, self._translated():
            found = self._bodies('key == "settings:0"')
            return Settings(**found[0][1]) if found else Settings()

    def change_settings(self, settings: Settings) -> None:
        """Replace all settings."""
        self._write_record("settings", 0, asdict(settings))
        if settings.dim and not self._has_vectors:
            self._make_vectors(settings.dim)

    def identities(self) -> Mapping[int, IdentityRecord]:
        """All identities by id, those merged into another included."""
        with self._lock, self._translated():
            return {number: IdentityRecord(**body) for number, body in self._bodies('kind == "identity"')}

    def identity(self, identity: int) -> IdentityRecord | None:
        """One identity by id."""
        with self._lock, self._translated():
            found = self._bodies(f'key == "identity:{int(identity)}"')
            return IdentityRecord(**found[0][1]) if found else None

    def names(self, identities: Iterable[int]) -> dict[int, str]:
        """Names of those of these identities that there are."""
        wanted = [int(i) for i in identities]
        found: dict[int, str] = {}
        with self._lock, self._translated():
            for start in range(0, len(wanted), _INSERT_ROWS):
                part = wanted[start : start + _INSERT_ROWS]
                found.update((n, body["name"]) for n, body in self._bodies(f'kind == "identity" and number in {part}'))
        return found

    def find(self, names: Sequence[str]) -> dict[str, IdentityRecord]:
        """The identities of these names, as far as there are any, also if they were merged into another."""
        found: dict[str, IdentityRecord] = {}
        wanted = set(names)
        # by keys, not by the texts: names come from outside, and there is nothing to escape in a number
        keys = [_key(name) for name in names]
        with self._lock, self._translated():
            for start in range(0, len(keys), _INSERT_ROWS):
                part = keys[start : start + _INSERT_ROWS]
                for _, body in self._bodies(f'kind == "identity" and name_key in {part}'):
                    if body["name"] in wanted:
                        found.setdefault(body["name"], IdentityRecord(**body))
        return found

    def _check_names(self) -> None:
        """No other identity has a name that was given in this transaction; asked after it was written."""
        owners = {name: identity for identity, name in self._named.items()}
        keys = sorted({_key(name) for name in owners})
        for start in range(0, len(keys), _INSERT_ROWS):
            part = keys[start : start + _INSERT_ROWS]
            for identity, body in self._bodies(f'kind == "identity" and name_key in {part}'):
                name = body["name"]
                if name in owners and owners[name] != identity:
                    raise GalleryRequestError(
                        f"{self.location}: there is an identity {name!r} already (or one that was merged into "
                        "another), perhaps made by another process just now; a name belongs to one identity"
                    )

    def _make_names_unique(self) -> None:
        """Once for each gallery: identities that older versions let have one name get different ones."""
        if self._bodies(_FORMAT):
            return
        with self.transaction():
            taken: set[str] = set()
            everybody = self.identities()
            all_names = {record.name for record in everybody.values()}
            for record in everybody.values():
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
            self._write_record("format", 0, {"version": 2}, new=True)

    def put_identity(self, record: IdentityRecord) -> int:
        """Store a new identity (`id` 0) or replace one; its id."""
        stored = record if record.id else replace(record, id=self._new_ids(1))
        self._write_record(
            "identity", stored.id, asdict(stored), identity=stored.id, name=stored.name, new=not record.id
        )
        return stored.id

    def erase_identities(self, identities: Sequence[int]) -> None:
        """Erase identities and what the log says of them."""
        self._write_pending()
        for identity in identities:
            self._client.delete(self._records_name, ids=[f"identity:{identity}"])
            for event in self.events(identity):
                self._write_event(replace(event, detail={}, private={}))
        self._reversals.clear()  # erased is erased
        self._erased = True

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
        self._write_pending()  # identities come before their observations, and the log after them
        first = self._new_ids(len(vectors))
        encoder = self.settings().fingerprint
        ids = np.arange(first, first + len(vectors), dtype=np.int64)
        columns = zip(ids.tolist(), identities.tolist(), vectors, cameras, times.tolist(), thumbnails, strict=True)
        rows = [
            {
                "id": observation,
                "identity": identity,
                "camera": camera or "",
                "camera_key": 0 if camera is None else _key(camera),
                "time": _NO_TIME if math.isnan(moment) else moment,
                "encoder": encoder,
                "thumbnail": "" if picture is None else base64.b64encode(picture).decode(),
                "vector": vector,
            }
            for observation, identity, vector, camera, moment, picture in columns
        ]
        self._reversals.append(lambda: self._delete(ids))
        for start in range(0, len(rows), _INSERT_ROWS):
            self._client.insert(self._name, rows[start : start + _INSERT_ROWS])
        if len(rows) >= _INSERT_ROWS:
            self._client.flush(self._name)  # seals the segment, so that its index is built at once
        return ids

    def _delete(self, ids: Integers) -> None:
        for start in range(0, len(ids), _INSERT_ROWS):
            self._client.delete(self._name, ids=ids[start : start + _INSERT_ROWS].tolist())

    def move_observations(self, observations: Integers, identity: int) -> None:
        """Give observations to another identity."""
        for start in range(0, len(observations), _INSERT_ROWS):
            rows = self._rows(observations[start : start + _INSERT_ROWS], ["*"])
            self._reversals.append(partial(self._client.upsert, self._name, rows))
            self._client.upsert(self._name, [{**row, "identity": identity} for row in rows])

    def erase_observations(self, observations: Integers) -> None:
        """Erase observations with their vectors and thumbnails."""
        self._delete(observations)
        self._reversals.clear()  # erased is erased
        self._erased = True

    def _rows(self, observations: Integers, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of observations, in the order asked for."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(observations) if self._has_vectors else 0, _INSERT_ROWS):
            rows = self._client.query(
                self._name,
                ids=observations[start : start + _INSERT_ROWS].tolist(),
                output_fields=list(fields),
                consistency_level="Strong",
            )
            found.update((row["id"], dict(row)) for row in rows)
        for observation in observations.tolist():
            if observation not in found:
                raise NotInGalleryError(f"{self.location}: no observation {observation}")
        return [found[observation] for observation in observations.tolist()]

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        with self._lock, self._translated():
            if not self._has_vectors or (identities is not None and not len(identities)):
                return Observations(np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0))
            condition = "id > 0" if identities is None else f"identity in {[int(i) for i in identities]}"
            rows = sorted(self._query(self._name, condition, _COLUMNS), key=lambda row: int(row["id"]))
            return Observations(
                np.array([row["id"] for row in rows], np.int64),
                np.array([row["identity"] for row in rows], np.int64),
                tuple(row["camera"] or None for row in rows),
                np.array([_time(row) for row in rows], np.float64),
            )

    def vectors(self, observations: Integers) -> Floats:
        """Vectors [n, D] of observations, in the order asked for."""
        with self._lock, self._translated():
            rows = self._rows(np.asarray(observations, np.int64), ["id", "vector"])
            return np.array([row["vector"] for row in rows], np.float32)

    def thumbnail(self, observation: int) -> bytes | None:
        """The JPEG of an observation, if one was stored."""
        with self._lock, self._translated():
            (row,) = self._rows(np.array([observation], np.int64), ["id", "thumbnail"])
            return base64.b64decode(row["thumbnail"]) or None

    def count(self) -> int:
        """Stored observations."""
        return self._count(Where()) if self._has_vectors else 0

    def _count(self, where: Where) -> int:
        with self._lock, self._translated():
            rows = self._client.query(
                self._name, filter=_condition(where), output_fields=["count(*)"], consistency_level="Strong"
            )
            return int(rows[0]["count(*)"])

    # -- search ------------------------------------------------------------------------------------------------------

    def search(self, probes: Floats, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; approximate where the index is.

        `mean` and `centroid` are computed exactly for the identities of the nearest observations that the index finds.
        """
        rankings: dict[int, Ranking] = {}
        with self._lock, self._translated():
            for where in set(wheres):
                rows = [row for row, other in enumerate(wheres) if other == where]
                rankings.update(zip(rows, self._search(probes[rows], where, top, score), strict=True))
        return [rankings[row] for row in range(len(probes))]

    def _search(self, probes: Floats, where: Where, top: int, score: Score) -> list[Ranking]:
        """Rankings under one filter; the first look at the index is one request for all probes."""
        stored = self._remembered_count(Where()) if self._has_vectors else 0
        seen = stored if where.everything else self._remembered_count(where) if stored else 0
        if not seen:
            nothing = np.zeros(0, np.int64)
            return [Ranking(nothing, np.zeros(0), nothing, (), np.zeros(0), 0, stored) for _ in probes]
        share = seen / stored
        wanted = min(4 * top + 32, _MAX_LIMIT)
        if seen <= _EXACT_ROWS:
            hits_of_all = self._compare_all(probes, where)
            return [
                self._rank(probe, where, hits, top, score, seen, stored)
                for probe, hits in zip(probes, hits_of_all, strict=True)
            ]
        first = self._nearest(probes, where, wanted, share)
        rankings = []
        for probe, hits in zip(probes, first, strict=True):
            limit = wanted
            while len(hits) < seen and limit < _MAX_LIMIT and not _enough(hits, top, score):
                limit = min(4 * limit, _MAX_LIMIT)
                hits = self._nearest(probe[None], where, limit, share)[0]
            rankings.append(self._rank(probe, where, hits, top, score, seen, stored))
        return rankings

    def _rank(
        self,
        probe: Floats,
        where: Where,
        hits: list[dict[str, Any]],
        top: int,
        score: Score,
        seen: int,
        stored: int,
    ) -> Ranking:
        by_identity: dict[int, dict[str, Any]] = {}
        for hit in hits:
            by_identity.setdefault(hit["identity"], hit)
        best = list(by_identity.values())
        distances = np.array([hit["distance"] for hit in best])
        if score.name != "min":
            distances = self._exact_scores(probe, where, [hit["identity"] for hit in best], score)
        order = np.argsort(distances, kind="stable")[:top]
        chosen = [best[place] for place in order]
        return Ranking(
            np.array([hit["identity"] for hit in chosen], np.int64),
            distances[order],
            np.array([hit["id"] for hit in chosen], np.int64),
            tuple(hit["camera"] or None for hit in chosen),
            np.array([_time(hit) for hit in chosen], np.float64),
            seen,
            stored,
        )

    def _compare_all(self, probes: Floats, where: Where) -> list[list[dict[str, Any]]]:
        """For each probe all observations that pass a narrow filter, ascending by (distance, id); exact."""
        rows = self._query(self._name, _condition(where), [*_COLUMNS, "vector"])
        vectors = np.array([row.pop("vector") for row in rows], np.float64)
        answers = []
        for probe in probes if rows else []:
            distances = np.linalg.norm(vectors - probe, axis=1).tolist()
            hits = [{**row, "distance": distance} for row, distance in zip(rows, distances, strict=True)]
            answers.append(sorted(hits, key=lambda hit: (hit["distance"], hit["id"])))
        return answers or [[] for _ in probes]

    def _nearest(self, probes: Floats, where: Where, limit: int, share: float) -> list[list[dict[str, Any]]]:
        """For each probe the nearest observations, ascending by (distance, id)."""
        answers = self._client.search(
            self._name,
            data=list(probes),
            filter=_condition(where),
            limit=limit,
            output_fields=_COLUMNS,
            search_params={"metric_type": "L2", "params": {"ef": effort(limit, share)}},
            consistency_level="Strong",
        )
        hits = [
            [{**hit["entity"], "id": hit["id"], "distance": max(hit["distance"], 0.0) ** 0.5} for hit in answer]
            for answer in answers
        ]
        return [sorted(found, key=lambda hit: (hit["distance"], hit["id"])) for found in hits]

    def _exact_scores(
        self, probe: Floats, where: Where, identities: list[int], score: Score
    ) -> npt.NDArray[np.float64]:
        condition = f"identity in {identities}"
        if not where.everything:
            condition = f"({condition}) and ({_condition(where)})"
        rows = self._query(self._name, condition, ["identity", "vector"])
        vectors = np.array([row["vector"] for row in rows], np.float64)
        owners = np.array([row["identity"] for row in rows], np.int64)
        places = np.searchsorted(np.unique(owners), identities)
        if score.name == "mean":
            distances = np.linalg.norm(vectors - probe, axis=1)
            return mean_of_nearest(owners, distances, score.k)[places]
        sums = np.array([vectors[owners == owner].sum(axis=0) for owner in np.unique(owners)])
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        return np.asarray(np.linalg.norm(sums - probe, axis=1)[places], np.float64)

    def _remembered_count(self, where: Where) -> int:
        known = self._counts.get(where)
        if known is None or clock.monotonic() - known[0] > _COUNT_SECONDS:
            known = (clock.monotonic(), self._count(where))
            self._counts[where] = known
        return known[1]

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
        self._write_record("event", event.id, body, identity=event.identity, other=event.other, new=new)

    def events(self, identity: int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log, newest first."""
        with self._lock, self._translated():
            condition = 'kind == "event"'
            if identity is not None:
                condition += f" and (identity == {int(identity)} or other == {int(identity)})"
            return [Event(**body) for _, body in reversed(self._bodies(condition))][:limit]

    def mark_undone(self, event: int) -> None:
        """Note that an event was undone."""
        for _, body in self._bodies(f'key == "event:{int(event)}"'):
            self._write_event(replace(Event(**body), undone=True))

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def settle_erasure(self) -> str:
        """Flush and compact, so that segments are written anew without what was deleted; what is still pending."""
        with self._lock, self._translated():
            if self._read_only or not self._erased:
                return ""
            running = [job for job in self._compact() if str(self._client.get_compaction_state(job)) != "Completed"]
        if self._embedded:
            return (
                "milvus-lite drops erased rows from its files when it next merges segments, and cannot be told when; "
                "where erasure must be immediate, use a file gallery"
            )
        state = f"compaction runs (jobs {running})" if running else "segments are compacted"
        return (
            f"{state}; Milvus deletes the old segments from its object storage when its garbage collection runs "
            "(dataCoord.gc.interval and dataCoord.gc.dropTolerance of the server)"
        )

    def _compact(self) -> list[int]:
        """Write segments anew; the numbers of the jobs that do it."""
        jobs = []
        for name in [self._name, self._records_name] if self._has_vectors else [self._records_name]:
            self._client.flush(name)
            jobs.append(int(self._client.compact(name)))
        return [job for job in jobs if job > 0]

    def check(self) -> None:
        """Every observation belongs to an identity, and to one that was not merged away."""
        with self._lock, self._translated():
            owners = set(self.observations().identities.tolist())
            living = {record.id for record in self.identities().values() if record.merged_into is None}
            if owners - living:
                raise GalleryError(
                    f"{self.location}: damaged: {len(owners - living)} identities of observations missing"
                )

    def compact(self) -> None:
        """Flush and compact."""
        with self.transaction():
            self._compact()

    def backup(self, target: Path) -> None:
        """Not offered: Milvus has a tool of its own."""
        raise GalleryError(f"{self.location}: back a Milvus gallery up with milvus-backup, or export it as Parquet")


def effort(limit: int, selectivity: float) -> int:
    """HNSW's `ef` for a filtered search: the fewer observations pass the filter, the more must be visited.

    Args:
        limit: neighbours wanted.
        selectivity: share of observations that pass the filter, in (0, 1].
    """
    visited = 8 * limit / max(selectivity, 1e-6)
    return int(min(max(visited, 256, limit), 32_768))


def _connect(location: str, *, read_only: bool) -> tuple[Any, str]:
    try:
        import pymilvus
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise MissingExtraError("pymilvus", "milvus", "a gallery in Milvus") from None
    if not location.startswith("milvus://"):
        path = Path(location).expanduser()
        if read_only and not path.exists():
            raise GalleryError(f"{location}: no such gallery")
        if not path.parent.is_dir():
            raise GalleryError(f"{location}: the folder {path.parent} does not exist")
        if path.is_file():
            raise GalleryError(
                f"{location}: a file that milvus-lite cannot use; paths ending in .db are Milvus galleries"
            )
        uri, token, name = str(path), "", "gallery"
    else:
        parts = urlsplit(location)
        name = parts.path.strip("/")
        if not parts.hostname or not name.isidentifier():
            raise GalleryError(f"{location}: expected milvus://host:19530/NAME, NAME of letters, digits and _")
        uri = f"http://{parts.hostname}:{parts.port or 19530}"
        token = f"{parts.username}:{parts.password or ''}" if parts.username else ""
    try:
        return pymilvus.MilvusClient(uri, token=token), name
    except (MilvusException, ConnectionError) as error:
        raise StorageError(f"{_without_password(location)}: cannot be opened ({error})") from error


def _without_password(location: str) -> str:
    if not location.startswith("milvus://"):
        return location
    parts = urlsplit(location)
    return f"milvus://{parts.hostname}:{parts.port or 19530}{parts.path}"


def _key(text: str) -> int:
    """A positive 63-bit number for a text, for filters without quoting."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _enough(hits: Sequence[Mapping[str, Any]], top: int, score: Score) -> bool:
    return len({hit["identity"] for hit in hits}) >= (top if score.name == "min" else 2 * top)


def _condition(where: Where) -> str:
    conditions = []
    if where.exclude_cameras:
        conditions.append(f"camera_key not in {sorted(_key(name) for name in where.exclude_cameras)}")
    if where.after is not None:
        conditions.append(f"time >= {where.after!r}")
    if where.before is not None:
        conditions.append(f"time <= {where.before!r} and time > {_NO_TIME / 2!r}")
    return " and ".join(conditions) or "id > 0"


def _time(row: Mapping[str, Any]) -> float:
    moment = float(row["time"])
    return math.nan if moment <= _NO_TIME / 2 else moment

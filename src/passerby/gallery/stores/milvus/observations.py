"""Observations of a gallery as rows of one collection: vector, identity, camera, time, thumbnail."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import NotInGalleryError
from passerby.gallery.stores.milvus.cameras import CameraNames
from passerby.gallery.stores.milvus.connection import ROWS_AT_ONCE, Connection
from passerby.gallery.stores.milvus.filters import EVERYTHING, condition, stored_time, text_key, time_of
from passerby.gallery.stores.milvus.schema import make_observations
from passerby.gallery.stores.rows import Observations, Where

COLUMNS = ["id", "identity", "camera", "time"]


class ObservationRows:
    """The collection of observations, which exists from the first vector on.

    Args:
        connection: of the gallery.
        reversals: receives for each write what takes it back.
        cameras: of the gallery.
    """

    def __init__(self, connection: Connection, reversals: list[Callable[[], object]], cameras: CameraNames) -> None:
        self._connection = connection
        self._cameras = cameras
        self._client = connection.client
        self._name = connection.observations_name
        self._reversals = reversals

    @property
    def exist(self) -> bool:
        """Whether the collection exists, whichever process has made it."""
        return self._connection.has(self._name)

    def make(self, dim: int) -> None:
        """Make the collection, unless it exists."""
        if not self.exist:
            make_observations(self._connection, dim)

    def add(
        self,
        ids: Int64,
        identities: Int64,
        vectors: Float32,
        cameras: Sequence[str | None],
        times: npt.NDArray[np.float64],
        thumbnails: Sequence[bytes | None],
        encoder: str,
    ) -> None:
        """Store unit vectors [n, D] under these ids."""
        names = [self._cameras.one(camera) for camera in cameras]
        columns = zip(ids.tolist(), identities.tolist(), vectors, names, times.tolist(), thumbnails, strict=True)
        rows = [
            {
                "id": observation,
                "identity": identity,
                "camera": camera or "",
                "camera_key": 0 if camera is None else text_key(camera),
                "time": stored_time(moment),
                "encoder": encoder,
                "thumbnail": "" if picture is None else base64.b64encode(picture).decode(),
                "vector": vector,
            }
            for observation, identity, vector, camera, moment, picture in columns
        ]
        self._reversals.append(partial(self.delete, ids))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            self._client.insert(self._name, rows[start : start + ROWS_AT_ONCE])
        if len(rows) >= ROWS_AT_ONCE:
            self._client.flush(self._name)  # seals the segment, so that its index is built at once

    def delete(self, ids: Int64) -> None:
        """Delete observations."""
        for start in range(0, len(ids), ROWS_AT_ONCE):
            self._client.delete(self._name, ids=ids[start : start + ROWS_AT_ONCE].tolist())

    def move(self, observations: Int64, identity: int) -> None:
        """Give observations to another identity."""
        for start in range(0, len(observations), ROWS_AT_ONCE):
            rows = self._rows(observations[start : start + ROWS_AT_ONCE], ["*"])
            self._reversals.append(partial(self._client.upsert, self._name, rows))
            self._client.upsert(self._name, [{**row, "identity": identity} for row in rows])

    def _rows(self, observations: Int64, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of observations, in the order asked for."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(observations) if self.exist else 0, ROWS_AT_ONCE):
            part = observations[start : start + ROWS_AT_ONCE].tolist()
            found.update((row["id"], row) for row in self._connection.by_ids(self._name, part, fields))
        for observation in observations.tolist():
            if observation not in found:
                raise NotInGalleryError(f"{self._connection.location}: no observation {observation}")
        return [found[observation] for observation in observations.tolist()]

    def columns(self, identities: Sequence[int] | None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        if not self.exist or (identities is not None and not len(identities)):
            return Observations(np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0))
        chosen = EVERYTHING if identities is None else f"identity in {[int(i) for i in identities]}"
        rows = sorted(self._connection.query(self._name, chosen, COLUMNS), key=lambda row: int(row["id"]))
        return Observations(
            np.array([row["id"] for row in rows], np.int64),
            np.array([row["identity"] for row in rows], np.int64),
            tuple(self._cameras.one(row["camera"]) for row in rows),
            np.array([time_of(row) for row in rows], np.float64),
        )

    def vectors(self, observations: Int64) -> Float32:
        """Vectors [n, D] of observations, in the order asked for."""
        rows = self._rows(np.asarray(observations, np.int64), ["id", "vector"])
        return np.array([row["vector"] for row in rows], np.float32)

    def thumbnails(self, observations: Int64) -> list[bytes | None]:
        """The JPEG of each of these observations, where one was stored."""
        rows = self._rows(np.asarray(observations, np.int64), ["id", "thumbnail"])
        return [base64.b64decode(row["thumbnail"]) or None for row in rows]

    def count(self, where: Where) -> int:
        """How many observations pass a filter."""
        if not self.exist:
            return 0
        return self._connection.count(self._name, condition(where))

"""What a process holds of a gallery's file in memory: settings, identities, and the index of all observations.

Settings and identities are always there; the columns of observations, and each block of their vectors, from when they
were first needed. All are of one state of the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from passerby.array_types import Bool, Float32, Int64
from passerby.errors import DamagedGalleryError, NotInGalleryError
from passerby.gallery.stores.names import check_one_writing
from passerby.gallery.stores.protocol import Settings
from passerby.gallery.stores.rows import IdentityRecord, Observations, Ranking, Where
from passerby.gallery.stores.sqlite.camera_means import statistics_of
from passerby.gallery.stores.sqlite.cameras import Cameras
from passerby.gallery.stores.sqlite.checksums import SALVAGE
from passerby.gallery.stores.sqlite.first_reading import end_of_slots, read_columns
from passerby.gallery.stores.sqlite.slots import DTYPES
from passerby.gallery.stores.sqlite.text_slots import read_texts
from passerby.gallery.stores.sqlite.vector_blocks import Connect, VectorBlocks
from passerby.plain_names import plain_key
from passerby.search.camera_offsets import CameraOffsets
from passerby.search.index import NOBODY, ExactIndex
from passerby.search.score import Score

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

_REMEMBERED = 16
_TEXTS = 1024  # that are parsed at a time


class Memory:
    """A mirror of the file, brought up to date by revision numbers.

    Args:
        location: what the gallery is called in messages.
        connect: makes further connections to the file, for reading.
    """

    def __init__(self, location: str, connect: Connect) -> None:
        self.location = location
        self._connect = connect
        self.clear()

    def clear(self) -> None:
        """Know nothing of the file."""
        self.erasure_pending = False
        self.revision = -1
        self.generation = 0
        self.settings = Settings()
        self.index: ExactIndex | None = None
        self._blocks: VectorBlocks | None = None
        self._has_columns = False
        self.identities: dict[int, IdentityRecord] = {}
        self.names: dict[str, int] = {}
        self.writings: dict[str, set[int]] = {}
        self.unknown: set[int] = set()
        self.merged: dict[int, int] = {}
        self.masks: dict[Where, Bool] = {}
        self.cameras = Cameras()
        self.statistics: CameraStatistics | None = None
        self.offsets: CameraOffsets | None = None

    def read_changes(self, db: sqlite3.Connection) -> None:
        """Bring it up to the open transaction's view of the file.

        Raises:
            DamagedGalleryError: something cannot be read.
        """
        with self._translated():
            self._read(db)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, OverflowError, IndexError, MemoryError) as error:
            raise DamagedGalleryError(
                f"{self.location}: damaged: a record cannot be read ({type(error).__name__}); `passerby gallery check` "
                f"names it; {SALVAGE}"
            ) from error

    def _read(self, db: sqlite3.Connection) -> None:
        row = db.execute(
            "SELECT revision, slot_generation, dim, fingerprint, threshold, storage, unknowns, erasure_pending, "
            "keep_sighting_vectors, sightings_expire_after, templates_per_camera, far, cohort, camera_means "
            "FROM settings"
        ).fetchone()
        if row is None:
            raise DamagedGalleryError(f"{self.location}: damaged: its settings are missing")
        revision, generation, dim, fingerprint, threshold, storage, unknowns, erasure_pending, keep = row[:9]
        lasting, templates, far, cohort, camera_means = row[9:]
        self.erasure_pending = bool(erasure_pending)
        if generation != self.generation:
            self.clear()
            self.generation = generation
        if revision == self.revision:
            return
        if storage not in DTYPES:
            raise DamagedGalleryError(f"{self.location}: damaged: unknown storage {storage!r}")
        self.settings = Settings(
            dim,
            fingerprint,
            threshold,
            storage,
            unknowns,
            keep_sighting_vectors=bool(keep),
            sightings_expire_after=lasting,
            templates_per_camera=templates,
            far=far,
            cohort=bool(cohort),
            camera_means=camera_means,
        )
        if dim and (self.index is None or self.revision < 0):
            self.statistics = self.offsets = None  # what another index subtracts is read again
            self.index = ExactIndex(dim)
            self._blocks = VectorBlocks(self.index, storage, self.location, self._connect)
        self.cameras.read(db)
        self._read_camera_means(db)
        self._read_identities(db)
        if self.revision < 0:
            self._has_columns = end_of_slots(db, self.location) == 0
        elif self._has_columns:
            self._read_changed_observations(db)
        if self.index is None and not self._has_columns:
            self._known_index()
        self.revision = revision
        self.masks.clear()

    def _read_camera_means(self, db: sqlite3.Connection) -> None:
        """What is subtracted from vectors before they are compared, if another version of it is in force now."""
        version = self.settings.camera_means
        if version == (0 if self.statistics is None else self.statistics.version):
            return
        self.statistics = statistics_of(db, version, self.location) if version else None
        if version and self.statistics is None:
            raise DamagedGalleryError(f"{self.location}: damaged: camera means {version} are missing; {SALVAGE}")
        self.offsets = None if self.statistics is None else self.statistics.offsets_by_number(self.cameras.names)
        self._known_index().subtract(self.offsets)

    def _read_identities(self, db: sqlite3.Connection) -> None:
        rows = db.execute(
            "SELECT i.id, t.data, i.is_unknown, i.expires, i.created, i.merged_into FROM identities i "
            "LEFT JOIN texts t ON t.slot = i.text WHERE i.revision > ?",
            (self.revision,),
        )
        while some := rows.fetchmany(_TEXTS):
            texts = read_texts([row[1] for row in some], self.location)
            for (identity, _, unknown, expires, created, merged), text in zip(some, texts, strict=True):
                name = text["name"]
                self._forget_identity(identity)
                self.names[name] = identity
                self.writings.setdefault(plain_key(name), set()).add(identity)
                if unknown:
                    self.unknown.add(identity)
                if merged is not None:
                    self.merged[identity] = merged
                self.identities[identity] = IdentityRecord(
                    identity, name, text["notes"], text["consent"], expires, bool(unknown), created, merged
                )
        for (identity,) in db.execute("SELECT id FROM erased_identities WHERE revision > ?", (self.revision,)):
            self._forget_identity(identity)
            self.identities.pop(identity, None)

    def _forget_identity(self, identity: int) -> None:
        """Drop what finds an identity or its kind."""
        known = self.identities.get(identity)
        if known is None:
            return
        if self.names.get(known.name) == identity:
            del self.names[known.name]
        key = plain_key(known.name)
        self.writings.get(key, set()).discard(identity)
        if not self.writings.get(key):
            self.writings.pop(key, None)
        self.unknown.discard(identity)
        self.merged.pop(identity, None)

    def identity_of(self, name: str) -> int | None:
        """The identity of this name, in whatever writing; None: there is none.

        Raises:
            GalleryRequestError: several identities of an older version have it, and none in this very writing.
        """
        if name in self.names:
            return self.names[name]
        found = sorted(self.writings.get(plain_key(name), ()))
        check_one_writing(self.location, name, [self.identities[identity].name for identity in found])
        return found[0] if found else None

    def relatives(self, identities: Iterable[int]) -> dict[int, IdentityRecord]:
        """Those of these identities that there are, and all that were merged into them, by id."""
        found = {i for i in identities if i in self.identities}
        for identity in self.merged:
            line, one = [identity], identity
            while one not in found and (into := self.merged.get(one)) is not None:
                one = into
                line.append(one)
            if one in found:
                found.update(line)
        return {i: self.identities[i] for i in sorted(found)}

    def _read_changed_observations(self, db: sqlite3.Connection) -> None:
        rows = db.execute(  # names the index, or else SQLite goes through all rows to have them in order
            "SELECT slot, id, identity, camera, time FROM observations INDEXED BY observations_revision "
            "WHERE revision > ? ORDER BY slot",
            (self.revision,),
        ).fetchall()
        if not rows:
            return
        self._put_rows(rows)
        if self._blocks is not None:
            self._blocks.changed(np.array([row[0] for row in rows], np.int64))

    def _put_rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        slots, ids, identities, cameras, times = (np.array(column) for column in zip(*rows, strict=True))
        self._known_index().put(
            slots, ids, _filled(identities, NOBODY), _filled(cameras, -1), np.asarray(times, np.float64)
        )

    def _known_index(self) -> ExactIndex:
        if self.index is None:
            raise DamagedGalleryError(f"{self.location}: damaged: observations, but no dimension of vectors")
        return self.index

    @property
    def has_columns(self) -> bool:
        """Whether the columns of observations are in memory."""
        return self._has_columns

    def read_columns(self, db: sqlite3.Connection) -> None:
        """Have the columns of all observations in memory.

        Args:
            db: in a transaction that sees the file as it is in memory, and has changed no observation.

        Raises:
            DamagedGalleryError: something cannot be read.
        """
        if not self._has_columns:
            with self._translated():
                read_columns(db, self._known_index(), self.location)
            self._has_columns = True

    def has_vectors(self, slots: Int64 | None) -> bool:
        """Whether the vectors of these slots, or of all, are in memory, as the columns are."""
        return self._blocks is None or not len(self._blocks.missing(slots))

    def read_vectors(self, db: sqlite3.Connection, slots: Int64 | None) -> None:
        """Have the vectors of these slots, or of all, in memory; the columns are.

        Args:
            db: in a transaction that sees the file as it is in memory, or has changed only vectors that are.
            slots: those that no observation uses are left out.

        Raises:
            DamagedGalleryError: a block of them is damaged.
        """
        if self._blocks is not None:
            with self._translated():
                self._blocks.read(db, (self.revision, self.generation), slots)

    def slots_of(self, observations: Int64) -> Int64:
        """Slots of observation ids, in the order asked for.

        Raises:
            NotInGalleryError: no such observation.
        """
        if not len(observations):
            return np.zeros(0, np.int64)
        slots = np.full(len(observations), -1) if self.index is None else self.index.slots_of(observations)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            raise NotInGalleryError(f"{self.location}: no observation {observations[missing[0]]}")
        return slots

    def _mask(self, index: ExactIndex, where: Where) -> Bool | None:
        """Slots that pass a filter; the masks of recent filters are remembered until something changes."""
        if where.everything:
            return None
        if where not in self.masks:
            if len(self.masks) >= _REMEMBERED:
                self.masks.clear()
            self.masks[where] = self._new_mask(index, where)
        return self.masks[where]

    def _new_mask(self, index: ExactIndex, where: Where) -> Bool:
        mask = index.alive().copy()
        for number in self.cameras.numbers(where.exclude_cameras):
            mask &= index.cameras[: index.size] != number
        if where.exclude_identities:
            mask &= ~np.isin(index.identities[: index.size], sorted(where.exclude_identities))
        if where.after is not None:
            mask &= index.times[: index.size] >= where.after
        if where.before is not None:
            mask &= index.times[: index.size] <= where.before
        return mask

    def observations(self, identities: Sequence[int] | None = None) -> Observations:
        """Observations of these identities, or all, ordered by id."""
        if self.index is None:
            return Observations(np.zeros(0, np.int64), np.zeros(0, np.int64), (), np.zeros(0))
        index = self.index
        chosen = index.alive()
        if identities is not None:
            chosen = chosen & np.isin(index.identities[: index.size], np.asarray(list(identities), np.int64))
        slots = np.flatnonzero(chosen)
        slots = slots[np.argsort(index.ids[slots], kind="stable")]
        cameras = tuple(self.cameras.names.get(code) for code in index.cameras[slots].tolist())
        return Observations(index.ids[slots], index.identities[slots], cameras, index.times[slots].copy())

    def search(self, probes: Float32, wheres: Sequence[Where], *, top: int, score: Score) -> list[Ranking]:
        """Rank identities for each probe [q, D], each with its own filter; exact."""
        index = self.index
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
                tuple(self.cameras.names.get(code) for code in index.cameras[found.slots].tolist()),
                index.times[found.slots],
                found.considered,
                stored,
            )
            for found in ranked
        ]


def _filled(column: npt.NDArray[Any], empty: int) -> Int64:
    """A column that may hold None as integers."""
    if column.dtype != object:
        return column.astype(np.int64)
    return np.array([empty if value is None else value for value in column.tolist()], np.int64)

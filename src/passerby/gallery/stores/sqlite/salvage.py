"""What can still be read of a damaged gallery's file, as a new gallery."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Float32
from passerby.errors import GalleryError, GalleryRequestError, PasserbyError
from passerby.gallery.argument_checks import camera_name, identity_name
from passerby.gallery.changes import write_event
from passerby.gallery.foreign_rows import checked_time
from passerby.gallery.images_or_vectors import checked_thumbnail
from passerby.gallery.stores.opening import open_store
from passerby.gallery.stores.protocol import Settings, Store
from passerby.gallery.stores.rows import IdentityRecord
from passerby.gallery.stores.sqlite.checksums import block_sum
from passerby.gallery.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS, VECTORS_PER_BLOCK
from passerby.gallery.stores.sqlite.slots import DTYPES
from passerby.gallery.stores.sqlite.text_slots import read_text


@dataclass
class Salvage:
    """What was saved, and what was lost, by reason.

    Attributes:
        identities: saved.
        observations: saved.
        renamed: identities whose names cannot be read, or are taken; they are called "salvaged-N".
        lost: what is not in the new gallery, by reason. The log and sightings are never saved.
    """

    identities: int = 0
    observations: int = 0
    renamed: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    def lose(self, reason: str, count: int = 1) -> None:
        """Count what is lost."""
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count

    def __str__(self) -> str:
        lost = "; ".join(f"{count:,} {reason}" for reason, count in self.lost.items()) or "nothing"
        return (
            f"{self.identities:,} identities ({self.renamed:,} under a new name) and {self.observations:,} "
            f"observations saved; lost: {lost}; the log and sightings are not saved"
        )


def salvage(damaged: Path, new: str) -> Salvage:
    """Read what is sound of a damaged file into a new gallery; the damaged one stays as it is.

    Args:
        damaged: a file of the newest format.
        new: location of the new gallery, which must not hold anything.

    Raises:
        GalleryError: nothing of it can be read, or the new gallery holds something.
    """
    if not damaged.is_file():
        raise GalleryError(f"{damaged}: no such file")
    found = Salvage()
    log = damaged.with_name(damaged.name + "-wal")
    options = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    try:
        with (
            closing(sqlite3.connect(f"{damaged.resolve().as_uri()}?{options}", uri=True)) as db,
            closing(open_store(new)) as store,
        ):
            db.text_factory = lambda data: data.decode(errors="replace")
            _check_format(db, damaged)
            if store.identities() or store.count():
                raise GalleryRequestError(f"{new}: holds identities already; salvage into a new gallery")
            settings = _settings(db, damaged)
            with store.transaction():
                store.change_settings(replace(settings, storage=store.settings().storage, camera_means=0))
                found.lose("camera means (measure them anew)", int(settings.camera_means > 0))
                owners = _save_identities(db, store, found)
                _save_observations(db, store, settings, owners, found)
                write_event(store, "salvage", None, "", detail={"observations": found.observations})
    except sqlite3.Error as error:
        raise GalleryError(f"{damaged}: nothing of it can be read ({error}); go back to a backup") from error
    return found


def _check_format(db: sqlite3.Connection, damaged: Path) -> None:
    (application,), (version,) = (
        db.execute("PRAGMA application_id").fetchone(),
        db.execute("PRAGMA user_version").fetchone(),
    )
    if application != APPLICATION_ID or version != len(MIGRATIONS):
        raise GalleryError(
            f"{damaged}: expected a gallery of format {len(MIGRATIONS)}, found application {application:#x}, format "
            f"{version}; go back to a backup"
        )


def _settings(db: sqlite3.Connection, damaged: Path) -> Settings:
    """Dimension, fingerprint, threshold, storage, rate and comparison; without the first three nothing can be read."""
    rows = list(_rows(db, "settings", "dim, fingerprint, threshold, storage, far, cohort, camera_means", Salvage()))
    try:
        dim, fingerprint, threshold, storage, far, cohort, camera_means = rows[0]
        if int(dim) < 0 or storage not in DTYPES:
            raise ValueError
        return Settings(
            int(dim),
            str(fingerprint),
            _distance(threshold),
            storage,
            far=far if _is_rate(far) else Settings().far,
            cohort=cohort == 1,
            camera_means=camera_means if isinstance(camera_means, int) else 0,
        )
    except (IndexError, TypeError, ValueError):
        raise GalleryError(f"{damaged}: its settings cannot be read, so nothing can; go back to a backup") from None


def _distance(value: object) -> float | None:
    return float(value) if isinstance(value, float) and 0 <= value <= 2 else None


def _is_rate(value: object) -> bool:
    return isinstance(value, float) and 0 < value < 1


def _rows(db: sqlite3.Connection, table: str, columns: str, found: Salvage) -> Iterator[tuple[Any, ...]]:
    """Rows one by one, so that a page that cannot be read costs only the rows on it."""
    last = -math.inf
    try:
        (end,) = db.execute(f"SELECT coalesce(max(rowid), -1) FROM {table}").fetchone()
    except sqlite3.Error:
        end = 0
    while True:
        try:
            row = db.execute(
                f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 1", (last,)
            ).fetchone()
        except sqlite3.Error:
            last = 0 if last == -math.inf else last + 1
            found.lose(f"records of {table} (unreadable pages)")
            if last > end:
                return
            continue
        if row is None:
            return
        last = row[0]
        yield row[1:]


def _save_identities(db: sqlite3.Connection, store: Store, found: Salvage) -> dict[int, int]:
    """New ids by old ones; those that were merged into another become one with it."""
    owners: dict[int, int] = {}
    merged: dict[int, int] = {}
    columns = "id, text, is_unknown, expires, created, merged_into"
    for identity, slot, unknown, expires, created, into in _rows(db, "identities", columns, found):
        if not isinstance(identity, int):
            continue
        if isinstance(into, int):
            merged[identity] = into
            continue
        text = _text(db, slot)
        record = IdentityRecord(
            0, str(text.get("name", "")), str(text.get("notes", "")), str(text.get("consent", "")), _moment(expires),
            bool(unknown), _moment(created) or 0.0,
        )  # fmt: skip
        try:
            owners[identity] = store.put_identity(replace(record, name=identity_name(record.name)))
        except GalleryRequestError:
            found.renamed += 1
            owners[identity] = store.put_identity(replace(record, name=f"salvaged-{identity}"))
        found.identities += 1
    for identity, into in merged.items():
        seen = {identity}
        while into in merged and into not in seen:
            seen.add(into)
            into = merged[into]
        if into in owners:
            owners[identity] = owners[into]
    return owners


def _moment(value: object) -> float | None:
    try:
        moment = checked_time(value)
    except PasserbyError:
        return None
    return None if math.isnan(moment) else moment


def _text(db: sqlite3.Connection, slot: object) -> dict[str, Any]:
    try:
        row = db.execute("SELECT data FROM texts WHERE slot = ?", (slot,)).fetchone()
        return read_text(row[0] if row else None, "")
    except (sqlite3.Error, GalleryError):
        return {}


def _save_observations(
    db: sqlite3.Connection, store: Store, settings: Settings, owners: dict[int, int], found: Salvage
) -> None:
    cameras = dict(_rows(db, "cameras", "id, name", found))
    blocks: dict[int, Float32 | None] = {}
    for slot, identity, camera, time, picture in _rows(
        db, "observations", "slot, identity, camera, time, thumbnail", found
    ):
        if identity is None:
            continue  # a free slot
        if identity not in owners:
            found.lose("observations of nobody")
            continue
        block, place = divmod(slot, VECTORS_PER_BLOCK)
        if block not in blocks:
            blocks.clear()
            blocks[block] = _block(db, settings, block)
        vectors = blocks[block]
        if vectors is None or not abs(float(vectors[place] @ vectors[place]) - 1) < 0.01:
            found.lose("observations whose vectors are damaged")
            continue
        moment = _moment(time)
        store.add_observations(
            np.array([owners[identity]], np.int64),
            vectors[place : place + 1],
            [_camera(cameras.get(camera))],
            np.array([math.nan if moment is None else moment]),
            [_picture(db, picture, found)],
        )
        found.observations += 1


def _block(db: sqlite3.Connection, settings: Settings, block: int) -> Float32 | None:
    """The vectors of a block [slots, D], if they match their checksum."""
    try:
        row = db.execute(
            "SELECT v.data, s.sum FROM vectors v JOIN vector_sums s ON s.block = v.block WHERE v.block = ?", (block,)
        ).fetchone()
    except sqlite3.Error:
        return None
    dtype = DTYPES[settings.storage]
    if row is None or len(row[0]) != VECTORS_PER_BLOCK * settings.dim * dtype.itemsize or block_sum(row[0]) != row[1]:
        return None
    return np.frombuffer(row[0], dtype).reshape(VECTORS_PER_BLOCK, settings.dim).astype(np.float32)


def _camera(name: object) -> str | None:
    try:
        return camera_name(name)
    except GalleryRequestError:
        return None


def _picture(db: sqlite3.Connection, slot: object, found: Salvage) -> bytes | None:
    if slot is None:
        return None
    try:
        row = db.execute("SELECT data FROM thumbnails WHERE slot = ?", (slot,)).fetchone()
        return checked_thumbnail(bytes(row[0]).rstrip(b"\0")) if row else None
    except (sqlite3.Error, GalleryRequestError):
        found.lose("thumbnails")
        return None

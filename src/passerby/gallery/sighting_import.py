"""Sightings that come from a file: the inverse of the export, checked as strictly as what `observe` stores."""

from __future__ import annotations

import math
import time as clock
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.argument_checks import LARGEST_DISTANCE, camera_name, identity_name
from passerby.gallery.changes import write_event
from passerby.gallery.identities import find_all
from passerby.gallery.images_or_vectors import checked_thumbnail
from passerby.gallery.passages import passage
from passerby.gallery.sighting_files import FORMATS, SCHEMA
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import SightingRecord, SightingWhere
from passerby.gallery.times import to_seconds
from passerby.plain_names import plain_key

MOST_ROWS = 10_000_000
_CHUNK = 10_000
_LARGEST = 2**53  # of whole numbers that every program writes exactly


@dataclass(frozen=True)
class ImportedSightings:
    """What `Gallery.import_sightings` did.

    Attributes:
        added: sightings that were stored.
        repeated: those that were there already.
    """

    added: int
    repeated: int

    def __str__(self) -> str:
        return f"{self.added:,} sightings added, {self.repeated:,} were there already"


def import_sightings(store: Store, source: Path, actor: str) -> ImportedSightings:
    """Add the sightings of a file; all or nothing. Called outside a transaction.

    Args:
        store: has the people.
        source: Parquet or CSV, as `write_sightings` writes it; all columns but "identity" may be missing.
        actor: who asked, for the log.

    Raises:
        GalleryError: not such a file, a row that `observe` would not have stored, or of somebody who is not there.
    """
    first = last = added = repeated = row = 0
    with store.transaction():
        there: dict[int, Counter[Hashable]] = {}
        for rows in _batches(source):
            names = [
                _checked(source, row + place, identity_name, one.get("identity")) for place, one in enumerate(rows)
            ]
            known = find_all(store, list(dict.fromkeys(names)))
            for name, one in zip(names, rows, strict=True):
                if name not in known:
                    raise GalleryRequestError(
                        f"{source}: row {row}: there is nobody called {name!r} here; import the gallery's people "
                        "first; nothing was imported"
                    )
                record, picture = _checked(source, row, _record, one)
                record = replace(record, identity=known[name].id)
                counts = there.setdefault(record.identity, Counter())
                if not counts:
                    counts.update(map(_key, store.sightings.select(SightingWhere(frozenset({record.identity})))))
                    counts[None] = 1  # not asked for again
                row += 1
                if counts[_key(record)]:
                    counts[_key(record)] -= 1
                    repeated += 1
                    continue
                last = store.sightings.add(record, None, picture)
                first, added = first or last, added + 1
        if added:
            write_event(store, "import_sightings", None, actor, detail={"first": first, "last": last, "count": added})
    return ImportedSightings(added, repeated)


def _key(record: SightingRecord) -> Hashable:
    """What two records of one sighting have in common."""
    camera = None if record.camera is None else plain_key(record.camera)
    return (
        camera, record.start, record.end, record.source, record.first_frame, record.last_frame, record.frames,
        record.distance,
    )  # fmt: skip


def _checked(source: Path, row: int, check: Any, value: Any) -> Any:
    try:
        return check(value)
    except GalleryRequestError as error:
        raise GalleryRequestError(f"{source}: row {row}: {error}; nothing was imported") from None


def _record(row: Mapping[str, Any]) -> tuple[SightingRecord, bytes | None]:
    """A row as it is stored, but for who it is; and its picture."""
    frames = tuple(_whole(row.get(name), name) for name in ("first_frame", "last_frame"))
    if (frames[0] is None) != (frames[1] is None):
        raise GalleryRequestError("first_frame and last_frame: expected both or none")
    made = passage(
        camera_name(row.get("camera")),
        _moment(row.get("start")),
        _moment(row.get("end")),
        row.get("source") or "",
        None if frames[0] is None or frames[1] is None else (frames[0], frames[1]),
        _whole(row.get("frames"), "frames", least=1) or 1,
    )
    stored = row.get("stored")
    record = replace(
        made,
        distance=_number(row.get("distance"), "distance", LARGEST_DISTANCE),
        p_value=_number(row.get("p_value"), "p_value", 1.0),
        new=bool(row.get("new")),
        at=clock.time() if stored is None else to_seconds(stored, what="stored"),
    )
    return record, checked_thumbnail(row.get("thumbnail"))


def _moment(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _number(value: float | None, what: str, most: float) -> float | None:
    if value is None:
        return None
    if not 0 <= value <= most:
        raise GalleryRequestError(f"{what}: expected a number from 0 to {most:g}, found {value!r}")
    return float(value)


def _whole(value: int | None, what: str, *, least: int = 0) -> int | None:
    if value is not None and not least <= value <= _LARGEST:
        raise GalleryRequestError(f"{what}: expected a whole number of {least} or more, found {value!r}")
    return value


def _batches(source: Path) -> Iterator[list[dict[str, Any]]]:
    """Rows of the file, some thousands at a time.

    Raises:
        GalleryError: it cannot be read, has unknown columns, other types, or too many rows.
    """
    kind = source.suffix.lower()
    if kind not in FORMATS:
        raise GalleryRequestError(f"{source}: sightings are read from {' or '.join(FORMATS)}, by the file's ending")
    if not source.is_file():
        raise GalleryError(f"{source}: no such file")
    count = 0
    try:
        for batch in _parquet(source) if kind == ".parquet" else _csv(source):
            count += batch.num_rows
            if count > MOST_ROWS:
                raise GalleryRequestError(f"{source}: more than {MOST_ROWS:,} rows, which is the limit")
            if batch.num_rows:
                yield batch.to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise GalleryError(f"{source}: cannot be read as sightings ({error}); nothing was imported") from None


def _parquet(source: Path) -> Iterator[Any]:
    file = pq.ParquetFile(source)
    _check_columns(file.schema_arrow.names, source)
    for name in file.schema_arrow.names:
        found, expected = file.schema_arrow.field(name).type, SCHEMA.field(name).type
        if not found.equals(expected) and not (pa.types.is_null(found) or pa.types.is_integer(found)):
            raise GalleryRequestError(f"{source}: column {name!r}: expected {expected}, found {found}")
    yield from file.iter_batches(batch_size=_CHUNK)


def _csv(source: Path) -> Iterator[Any]:
    kinds = {field.name: field.type for field in SCHEMA if field.name != "thumbnail"}
    reader = pc.open_csv(
        source,
        convert_options=pc.ConvertOptions(
            column_types=kinds, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    _check_columns(reader.schema.names, source)
    for batch in reader:
        for start in range(0, batch.num_rows, _CHUNK):
            yield batch.slice(start, _CHUNK)


def _check_columns(names: list[str], source: Path) -> None:
    unknown = [name for name in names if name not in SCHEMA.names]
    if "identity" not in names or unknown or len(set(names)) < len(names):
        what = f"there is a column {unknown[0]!r}" if unknown else "there is none called 'identity', or one twice"
        raise GalleryRequestError(f"{source}: {what}; expected columns of {', '.join(SCHEMA.names)}, once each")

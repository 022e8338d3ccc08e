"""Sightings as a table: Parquet or CSV, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from passerby.errors import GalleryRequestError, StorageError
from passerby.gallery.result_types import Sighting
from passerby.gallery.times import iso_time

FORMATS = (".parquet", ".csv")


def write_sightings(
    sightings: Sequence[Sighting], target: Path, *, thumbnail: Callable[[int], bytes | None] | None
) -> int:
    """Write sightings to a file that appears when it is complete, for its owner alone; how many.

    One row for each sighting: sighting (id), identity (name), new, camera, start, end (seconds), start_iso and end_iso
    (ISO 8601 where they are dates), distance, p_value, frames, source, first_frame, last_frame, stored (seconds); in
    Parquet also thumbnail.

    Args:
        sightings: to write.
        target: path ending in .parquet or .csv.
        thumbnail: gives the picture of a sighting; None: no pictures.

    Raises:
        GalleryError: another ending.
        StorageError: the file cannot be written.
    """
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise GalleryRequestError(f"{target}: sightings are written as {' or '.join(FORMATS)}, by the file's ending")
    table = _table(sightings)
    if kind == ".parquet" and thumbnail is not None:
        pictures = [thumbnail(sighting.id) if sighting.has_thumbnail else None for sighting in sightings]
        table = table.append_column("thumbnail", pa.array(pictures, pa.binary()))
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.touch(0o600)  # who was where is personal data
        if kind == ".parquet":
            pq.write_table(table, partial, compression="zstd")
        else:
            pc.write_csv(table, partial)
        partial.rename(target)
    except OSError as error:
        raise StorageError(f"{target}: the export cannot be written ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return len(sightings)


def _table(sightings: Sequence[Sighting]) -> Any:
    return pa.table(
        {name: pa.array([of(sighting) for sighting in sightings], kind) for name, (kind, of) in _COLUMNS.items()}
    )


_COLUMNS: dict[str, tuple[Any, Callable[[Sighting], object]]] = {
    "sighting": (pa.int64(), lambda s: s.id),
    "identity": (pa.string(), lambda s: s.identity),
    "new": (pa.bool_(), lambda s: s.new),
    "camera": (pa.string(), lambda s: s.camera),
    "start": (pa.float64(), lambda s: s.start),
    "end": (pa.float64(), lambda s: s.end),
    "start_iso": (pa.string(), lambda s: iso_time(s.start)),
    "end_iso": (pa.string(), lambda s: iso_time(s.end)),
    "distance": (pa.float64(), lambda s: s.distance),
    "p_value": (pa.float64(), lambda s: s.p_value),
    "frames": (pa.int64(), lambda s: s.frames),
    "source": (pa.string(), lambda s: s.source),
    "first_frame": (pa.int64(), lambda s: s.first_frame),
    "last_frame": (pa.int64(), lambda s: s.last_frame),
    "stored": (pa.float64(), lambda s: s.at),
}
SCHEMA = pa.schema([*((name, kind) for name, (kind, _) in _COLUMNS.items()), ("thumbnail", pa.binary())])
"""Columns of a file; `thumbnail` is in Parquet files only."""

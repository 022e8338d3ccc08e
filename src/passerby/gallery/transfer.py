"""Galleries in and out: Parquet files, and from one store to another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.errors import GalleryError, GalleryRequestError, StorageError
from passerby.gallery.argument_checks import camera_name
from passerby.gallery.changes import write_event
from passerby.gallery.foreign_rows import checked_record, checked_time
from passerby.gallery.identities import find_all
from passerby.gallery.images_or_vectors import checked_thumbnail, unit_vectors
from passerby.gallery.stores.protocol import Store
from passerby.plain_names import plain_key
from passerby.progress import progress_bar

FORMAT = "passerby-gallery-1"
_CHUNK = 10_000


def export_parquet(store: Store, target: Path) -> int:
    """Write everything but the log to a Parquet file that appears when it is complete; number of observations.

    One row for each observation: identity (name), unknown, notes, consent, expires, created, camera, time,
    observation, vector, thumbnail. The schema's metadata holds the encoder's fingerprint and the threshold.

    Raises:
        StorageError: it cannot be written.
    """
    settings = store.settings()
    columns = store.observations()
    records = store.identities()
    partial = target.with_name(f".{target.name}.partial")
    metadata = {"format": FORMAT, "fingerprint": settings.fingerprint, "threshold": json.dumps(settings.threshold)}
    try:
        with (
            pq.ParquetWriter(partial, _schema(settings.dim, metadata), compression="zstd") as writer,
            progress_bar(f"export to {target.name}", len(columns)) as bar,
        ):
            for start in range(0, len(columns), _CHUNK):
                rows = slice(start, min(start + _CHUNK, len(columns)))
                ids = columns.ids[rows]
                owners = [records[i] for i in columns.identities[rows].tolist()]
                vectors = store.vectors(ids)
                writer.write_table(
                    pa.table(
                        {
                            "identity": [record.name for record in owners],
                            "unknown": [record.unknown for record in owners],
                            "notes": [record.notes for record in owners],
                            "consent": [record.consent for record in owners],
                            "expires": [record.expires for record in owners],
                            "created": [record.created for record in owners],
                            "camera": list(columns.cameras[rows]),
                            "time": pa.array(columns.times[rows], from_pandas=True),
                            "observation": ids,
                            "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), settings.dim),
                            "thumbnail": store.thumbnails(ids),
                        },
                        schema=writer.schema,
                    )
                )
                bar.advance(len(ids))
        partial.chmod(0o600)  # biometric data
        partial.rename(target)
    except OSError as error:
        raise StorageError(f"{target}: the export cannot be written ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return len(columns)


def _schema(dim: int, metadata: dict[str, str]) -> Any:
    return pa.schema(
        {
            "identity": pa.string(),
            "unknown": pa.bool_(),
            "notes": pa.string(),
            "consent": pa.string(),
            "expires": pa.float64(),
            "created": pa.float64(),
            "camera": pa.string(),
            "time": pa.float64(),
            "observation": pa.int64(),
            "vector": pa.list_(pa.float32(), max(dim, 1)),
            "thumbnail": pa.binary(),
        },
        metadata=metadata,
    )


def import_parquet(store: Store, source: Path, fingerprint: str, actor: str) -> int:
    """Add what `export_parquet` wrote; all or nothing. Number of observations.

    Raises:
        GalleryError: not such a file, or of another encoder.
    """
    try:
        file = pq.ParquetFile(source)
    except (OSError, pa.ArrowException) as error:
        raise GalleryError(f"{source}: not a readable Parquet file ({error})") from None
    metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
    if metadata.get("format") != FORMAT:
        raise GalleryError(f"{source}: not an exported gallery (expected the format {FORMAT!r} in its metadata)")
    theirs = metadata.get("fingerprint", "")
    if theirs != fingerprint and fingerprint:
        raise GalleryError(f"{source}: vectors of the encoder {theirs!r}; this gallery holds those of {fingerprint!r}")
    _check_columns(file.schema_arrow, source)
    count = 0
    with store.transaction(), progress_bar(f"import {source.name}", file.metadata.num_rows) as bar:
        made: dict[str, int] = {}
        for batch in file.iter_batches(batch_size=_CHUNK):
            count += _import_rows(store, batch.to_pylist(), made, theirs, actor, source, count)
            bar.advance(batch.num_rows)
    return count


def _check_columns(found: Any, source: Path) -> None:
    """Every column is there and of the kind that is expected of it."""
    expected = _schema(1, {})
    for name in expected.names:
        if name not in found.names:
            raise GalleryError(f"{source}: there is no column {name!r}, which `export` writes")
        kinds = [pa.types.is_fixed_size_list] if name == "vector" else [expected.field(name).type.equals]
        if not any(kind(found.field(name).type) for kind in kinds):
            raise GalleryError(
                f"{source}: column {name!r}: expected {expected.field(name).type}, found {found.field(name).type}"
            )


def _import_rows(
    store: Store,
    rows: list[dict[str, Any]],
    made: dict[str, int],
    fingerprint: str,
    actor: str,
    source: Path,
    before: int,
) -> int:
    for number, row in enumerate(rows):
        try:
            _check_row(row)
        except GalleryRequestError as error:
            raise GalleryRequestError(f"{source}: row {before + number}: {error}; nothing was imported") from None
    settings = store.settings()
    vectors = unit_vectors([row["vector"] for row in rows], settings.dim or None)
    if not settings.dim:
        store.change_settings(replace(settings, dim=vectors.shape[1], fingerprint=fingerprint))
    names = {plain_key(row["record"].name): row["record"] for row in rows}
    new = {key: record for key, record in names.items() if key not in made}
    known = find_all(store, [record.name for record in new.values()])
    for key, record in new.items():
        made[key] = known[record.name].id if record.name in known else store.put_identity(record)
    created = {made[key] for key, record in new.items() if record.name not in known}
    owners = np.array([made[plain_key(row["record"].name)] for row in rows], np.int64)
    times = np.array([row["time"] for row in rows], np.float64)
    cameras, thumbnails = [row["camera"] for row in rows], [row["thumbnail"] for row in rows]
    ids = store.add_observations(owners, vectors, cameras, times, thumbnails)
    batch = made.setdefault("", int(ids[0]))  # no identity is called "": one number for the whole import
    detail = {"first": int(ids[0]), "last": int(ids[-1]), "batch": batch}
    for identity in dict.fromkeys(owners.tolist()):
        write_event(store, "import", identity, actor, detail={**detail, "created": identity in created})
    return len(rows)


def _check_row(row: dict[str, Any]) -> None:
    """Bring one row to what a store holds; its identity becomes `record`."""
    row["record"] = checked_record(row, row["identity"])
    row["camera"] = camera_name(row["camera"])
    row["time"] = checked_time(row["time"])
    row["thumbnail"] = checked_thumbnail(row["thumbnail"])
    if row["vector"] is None or any(number is None for number in row["vector"]):
        raise GalleryRequestError("vector: expected numbers, found none")

"""Tracklets in a table: one line for each picture, with its camera, its moment and the track it belongs to."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.data.csv_tables import table_reader
from passerby.errors import DataError, GalleryError, unknown_name
from passerby.gallery.times import to_seconds
from passerby.plain_names import is_unknown, plain_key

REQUIRED = ("path", "camid", "time", "tracklet")
COLUMNS = (*REQUIRED, "frame", "source", "pid", "split")
"""`pid` and `split` may stand there, as in a dataset's manifest; who it is, is not read."""


@dataclass(frozen=True)
class TrackPicture:
    """One picture of a track.

    Attributes:
        path: the image.
        time: seconds.
        frame: in the film; None where the table does not say.
    """

    path: Path
    time: float
    frame: int | None


@dataclass(frozen=True)
class PictureTrack:
    """The pictures of one track, in the order of time.

    Attributes:
        camera: its name.
        name: of the track, unique for each camera and source.
        source: the film; "" where the table does not say.
        pictures: at least one.
    """

    camera: str
    name: str
    source: str
    pictures: tuple[TrackPicture, ...]

    @property
    def start(self) -> float:
        """First moment, seconds."""
        return self.pictures[0].time


def read_tracks(manifest: str | os.PathLike[str]) -> list[PictureTrack]:
    """Tracks of a CSV or Parquet table, by their first moment.

    Args:
        manifest: with the columns path (relative to the table's folder), camid, time (seconds or ISO 8601), tracklet,
            and perhaps frame and source. Tracks of different cameras or sources may have one number. All writings of a
            camera or track (7, 07 and 7.0) are one.

    Raises:
        DataError: the file cannot be read, a column is missing or unknown, a row is wrong or of no camera or track
            (nothing, or -1), or two pictures of one track are of one moment.
    """
    file = Path(manifest).expanduser()
    tracks: dict[tuple[str, str, str], list[TrackPicture]] = {}
    written: dict[str, str] = {}
    for where, row in _rows(file):
        text = {key: _text(value) for key, value in row.items()}
        for needed in REQUIRED:
            if not text[needed]:
                raise DataError(f"{where}: {needed} is empty")
        for needed in ("camid", "tracklet"):
            if is_unknown(text[needed]):
                raise DataError(
                    f"{where}: {needed} is {text[needed]}, which stands for none; name it, or leave the row out"
                )
        camera, name = (written.setdefault(plain_key(text[what]), text[what]) for what in ("camid", "tracklet"))
        key = (camera, text.get("source", ""), name)
        tracks.setdefault(key, []).append(_picture(where, text, file.parent))
    if not tracks:
        raise DataError(f"{file}: the manifest has no rows")
    found = []
    for (camera, source, name), pictures in tracks.items():
        ordered = tuple(sorted(pictures, key=lambda picture: picture.time))
        if len({picture.time for picture in ordered}) < len(ordered):
            raise DataError(
                f"{file}: track {name} of camera {camera} has several pictures of one moment; a track is one person, "
                "and `time` must tell its pictures apart"
            )
        found.append(PictureTrack(camera, name, source, ordered))
    return sorted(found, key=lambda track: (track.start, track.camera, track.source, track.name))


def _picture(where: str, text: Mapping[str, str], folder: Path) -> TrackPicture:
    path = folder / Path(text["path"]).expanduser()
    if not path.is_file():
        raise DataError(f"{where}: no such file: {path}")
    try:
        time = float(text["time"]) if _is_number(text["time"]) else to_seconds(text["time"], what="time")
    except GalleryError as error:
        raise DataError(f"{where}: {error}") from None
    frame = text.get("frame", "")
    if frame and not frame.isdigit():
        raise DataError(f"{where}: frame is {frame!r}; expected a whole number")
    return TrackPicture(path, time, int(frame) if frame else None)


def _is_number(text: str) -> bool:
    try:
        return float(text) < float("inf")
    except ValueError:
        return False


def _text(value: Any) -> str:
    if value is None or value != value:  # Parquet writers turn empty cells into NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value).strip()


def _rows(file: Path) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if file.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file)
        except FileNotFoundError:
            raise DataError(f"{file}: no such manifest") from None
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file}: not a Parquet file ({error})") from None
        _check_columns(file, table.column_names)
        return [(f"{file}, row {i}", row) for i, row in enumerate(table.to_pylist(), start=1)]
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = table_reader(lines)
            _check_columns(file, reader.fieldnames or ())
            rows = [(f"{file}, row {reader.line_num}", row) for row in reader]
    except OSError as error:
        raise DataError(f"{file}: the manifest cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a CSV table in UTF-8 ({error})") from None
    for where, row in rows:
        if None in row or None in row.values():
            raise DataError(f"{where}: the row has not as many fields as the header")
    return rows


def _check_columns(file: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    for column in REQUIRED:
        if column not in found:
            raise DataError(
                f"{file}: a manifest of tracks needs a column {column!r}; found {', '.join(found) or 'nothing'} "
                f"(known: {', '.join(COLUMNS)})"
            )
    for column in found:
        if column not in COLUMNS:
            raise DataError(f"{file}: {unknown_name('column', column, COLUMNS)}")

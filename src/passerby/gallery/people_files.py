"""Pictures of many people: a folder with one folder a person, or a CSV or Parquet table."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.data.csv_tables import table_reader
from passerby.data.readers.tree import entries, image_names, is_image_name, subfolders
from passerby.errors import DataError, GalleryRequestError, unknown_name
from passerby.gallery.argument_checks import camera_name, identity_name
from passerby.gallery.times import to_seconds

NAMES = ("name", "pid")
CAMERAS = ("camera", "camid")
COLUMNS = ("path", *NAMES, *CAMERAS, "time", "split", "tracklet")
"""`split` and `tracklet` may stand there, as in a dataset's manifest, and are not read."""
NOT_IMAGES, NOBODYS, NO_IMAGE, EMPTY, NO_FILE = (
    "not an image by its name",
    "beside the folders of people, so nobody's",
    "a person without an image",
    "a folder in a person's without an image",
    "no such file",
)
"""Reasons why something is left out."""


@dataclass(frozen=True)
class PersonPicture:
    """One picture of a person; camera and time (seconds) are None where they are not known."""

    path: Path
    name: str
    camera: str | None = None
    time: float | None = None


@dataclass(frozen=True)
class PeopleFiles:
    """What a folder or table names: pictures in order, and how many things were left out, by reason."""

    pictures: tuple[PersonPicture, ...]
    left_out: Mapping[str, int]


def read_people(source: str | os.PathLike[str]) -> PeopleFiles:
    """Pictures of people.

    Args:
        source: a folder `NAME/*.jpg` or `NAME/CAMERA/*.jpg`; or a .csv or .parquet file with the columns path
            (relative to the file), name (or pid), and perhaps camera (or camid) and time (seconds or ISO 8601).

    Raises:
        DataError: nothing there, no image, a column is missing or unknown, or a row is wrong.
    """
    place = Path(source).expanduser()
    if not place.exists():
        raise DataError(f"{place}: no such folder or table of people")
    found = _folder(place) if place.is_dir() else _table(place)
    if not found.pictures:
        expected = "NAME/*.jpg" if place.is_dir() else "a row for each picture"
        left = ", ".join(f"{count:,} {reason}" for reason, count in found.left_out.items())
        raise DataError(f"{place}: no picture of anybody; expected {expected}{f' (left out: {left})' if left else ''}")
    return found


def _folder(top: Path) -> PeopleFiles:
    left: Counter[str] = Counter()
    pictures: list[PersonPicture] = []
    people = subfolders(top)
    loose = [name for name in entries(top) if name not in people]
    left[NOBODYS] += sum(map(is_image_name, loose))
    left[NOT_IMAGES] += sum(not is_image_name(name) for name in loose)
    for person in people:
        name = _checked(str(top / person), identity_name, person)
        own = _pictures_in(top / person, name, None, left)
        for camera in subfolders(top / person):
            place = top / person / camera
            here = _pictures_in(place, name, _checked(str(place), camera_name, camera), left)
            left[EMPTY] += not here
            own += here
            deeper = subfolders(place)
            if deeper:
                raise DataError(f"{place / deeper[0]}: a folder below NAME/CAMERA; expected pictures there")
        left[NO_IMAGE] += not own
        pictures += own
    return PeopleFiles(tuple(pictures), {reason: count for reason, count in left.items() if count})


def _pictures_in(folder: Path, name: str, camera: str | None, left: Counter[str]) -> list[PersonPicture]:
    images = image_names(folder)
    left[NOT_IMAGES] += len(entries(folder)) - len(subfolders(folder)) - len(images)
    return [PersonPicture(folder / image, name, camera) for image in images]


def _table(file: Path) -> PeopleFiles:
    left: Counter[str] = Counter()
    pictures = []
    for where, row in _rows(file):
        picture = _picture(where, {key: _text(value) for key, value in row.items()}, file.parent)
        if picture.path.is_file():
            pictures.append(picture)
        else:
            left[NO_FILE] += 1
    return PeopleFiles(tuple(pictures), dict(left))


def _picture(where: str, row: Mapping[str, str], folder: Path) -> PersonPicture:
    name, camera = _first(row, NAMES), _first(row, CAMERAS)
    if not row["path"] or not name:
        raise DataError(f"{where}: {'name' if row['path'] else 'path'} is empty")
    return PersonPicture(
        folder / Path(row["path"]).expanduser(),
        _checked(where, identity_name, name),
        _checked(where, camera_name, camera) if camera else None,
        _checked(where, lambda text: to_seconds(text, what="time"), row["time"]) if row.get("time") else None,
    )


def _first(row: Mapping[str, str], columns: Iterable[str]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")


def _checked(where: str, check: Any, value: str) -> Any:
    try:
        return check(value)
    except GalleryRequestError as error:
        raise DataError(f"{where}: {error}") from None


def _text(value: object) -> str:
    if value is None or value != value:  # Parquet writers turn empty cells into NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value).strip()


def _rows(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    if file.suffix.lower() == ".parquet":
        return _parquet_rows(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = table_reader(lines)
            _check_columns(file, reader.fieldnames or ())
            rows: list[tuple[str, Mapping[str, Any]]] = [(f"{file}, row {reader.line_num}", row) for row in reader]
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{file}: expected a folder with a folder a person, or a CSV table in UTF-8 ({error})"
        ) from None
    for where, row in rows:
        if None in row:
            raise DataError(f"{where}: the row has more fields than the header")
    return rows


def _parquet_rows(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a Parquet file ({error})") from None
    _check_columns(file, table.column_names)
    return [(f"{file}, row {number}", row) for number, row in enumerate(table.to_pylist(), start=1)]


def _check_columns(file: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    if "path" not in found or not set(NAMES) & set(found):
        raise DataError(
            f"{file}: expected the columns path and name (or pid), and perhaps camera and time; found "
            f"{', '.join(found) or 'nothing'}"
        )
    for column in found:
        if column not in COLUMNS:
            raise DataError(f"{file}: {unknown_name('column', column, COLUMNS)}")

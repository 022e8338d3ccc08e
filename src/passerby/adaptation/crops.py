"""Crops of a place from disk: a manifest, a folder of manifests (tracklets of films), or a folder of images."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from passerby.data.csv_tables import table_reader
from passerby.data.ignored_files import images_in_tree
from passerby.data.readers.tree import not_read, subfolders
from passerby.data.records import UNKNOWN_CAMERA, Sample, not_text
from passerby.errors import DataError
from passerby.plain_names import is_unknown, plain_key

MANIFEST = "manifest.csv"
_DIGITS = 9
"""Of a camera's number; longer ones (addresses of a device) are names."""
READ = ("path", "camid", "time", "tracklet")
"""Columns of a manifest that are read; all others, person ids above all, are not."""


@dataclass(frozen=True)
class Crops:
    """Crops without identities.

    Attributes:
        samples: their person ids are all 0.
        cameras: names by camera number; a camera that is called by a number has that number.
        notes: what was not read, and what is not known.
    """

    samples: tuple[Sample, ...]
    cameras: Mapping[int, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    path: Path
    camera: str
    time: float | None = None
    tracklet: tuple[str, str] | None = None


def read_crops(source: str | os.PathLike[str], *, camera: str | None = None) -> Crops:
    """Read the crops of a place.

    Args:
        source: a manifest (.csv, .parquet) with a column `path` and, where known, `camid` (number or name), `time`
            (seconds or ISO 8601) and `tracklet`; a folder that holds manifest.csv itself or in its folders, as
            `passerby data from-video` writes them, one film each; or a folder of images, whose cameras are its folders.
        camera: a folder of images: a regular expression with one group that finds the camera in a file's name.

    Raises:
        DataError: no such file or folder, nothing to read there, or a row that is wrong.
    """
    place = Path(source).expanduser()
    notes: list[str] = []
    if place.is_file() or place.suffix.lower() in (".csv", ".parquet"):
        _refuse_pattern(camera, place)
        rows = _manifest(place)
    elif not place.is_dir():
        raise DataError(f"{place}: no such manifest or folder; expected the crops of a place")
    elif manifests := sorted([*place.glob(MANIFEST), *place.glob(f"*/{MANIFEST}")]):
        _refuse_pattern(camera, place)
        rows = [row for file in manifests for row in _manifest(file)]
        notes = _without_manifest(place)
    else:
        rows, notes = _images(place, camera)
    return _crops(rows, notes)


def _without_manifest(place: Path) -> list[str]:
    """A note on folders of images beside those of films; where one manifest says it all, folders belong to it."""
    if (place / MANIFEST).is_file():
        return []
    others = [name for name in subfolders(place) if not (place / name / MANIFEST).is_file()]
    left = [name for name in others if images_in_tree(place / name)[0]]
    return [not_read(f"folder(s) of images without {MANIFEST}", left)] if left else []


def _refuse_pattern(camera: str | None, place: Path) -> None:
    if camera is not None:
        raise DataError(f"{place}: a camera pattern is for folders of images; a manifest names cameras in `camid`")


def _images(folder: Path, pattern: str | None) -> tuple[list[_Row], list[str]]:
    found, notes = images_in_tree(folder)
    if not found:
        left = "; ".join(notes) or "found 0 other files"
        raise DataError(f"{folder}: expected images or {MANIFEST} below it, {left}")
    unwritable = not_text(found)
    if unwritable:
        raise DataError(f"{folder}: {unwritable}")
    return [_Row(path, _camera(_camera_of(path, folder, pattern))) for path in found], notes


def _camera(text: str) -> str:
    """A camera's name in one writing; nothing where it is not known."""
    return "" if is_unknown(text) else plain_key(text)


def _camera_of(path: Path, folder: Path, pattern: str | None) -> str:
    if pattern is None:
        parts = path.relative_to(folder).parts
        return parts[0] if len(parts) > 1 else ""
    try:
        match = re.search(pattern, path.name)
    except re.error as error:
        raise DataError(f"camera pattern {pattern!r} is no regular expression ({error})") from None
    if match is None or match.re.groups != 1 or not match[1]:
        raise DataError(
            f"{path}: camera pattern {pattern!r} finds no camera in this name; it needs one group, as in _c([0-9]+)"
        )
    return match[1]


def _manifest(file: Path) -> list[_Row]:
    lines = _parquet(file) if file.suffix.lower() == ".parquet" else _csv(file)
    if not lines:
        raise DataError(f"{file}: the manifest has no rows")
    if "path" not in lines[0]:
        raise DataError(f"{file}: the manifest needs a column 'path'; found {', '.join(lines[0]) or 'nothing'}")
    return [_row(file, number, line) for number, line in enumerate(lines, start=1)]


def _csv(file: Path) -> list[Mapping[str, Any]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            return list(table_reader(lines))
    except OSError as error:
        raise DataError(f"{file}: the manifest cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a CSV table in UTF-8 ({error})") from None


def _parquet(file: Path) -> list[Mapping[str, Any]]:
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a Parquet file that can be read ({error})") from None
    rows: list[Mapping[str, Any]] = table.select([c for c in READ if c in table.column_names]).to_pylist()
    return rows


def _row(file: Path, number: int, line: Mapping[str, Any]) -> _Row:
    where = f"{file}, row {number}"
    text = {name: _text(line.get(name)) for name in READ}
    path = file.parent / Path(text["path"]).expanduser()
    if not text["path"] or not path.is_file():
        raise DataError(f"{where}: no image file {path}")
    camera, name = _camera(text["camid"]), plain_key(text["tracklet"])
    tracklet = None if is_unknown(name) else (f"{file}\0{camera}", name)
    return _Row(path, camera, _time(where, text["time"]), tracklet)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value).strip()


def _time(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = _seconds(text)
    except (ValueError, OverflowError):
        seconds = math.inf
    if math.isinf(seconds):
        raise DataError(f"{where}: time is {text!r}; expected seconds or a time like 2024-05-01T12:00:00")
    return None if math.isnan(seconds) else seconds


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def _crops(rows: Sequence[_Row], notes: list[str]) -> Crops:
    names = sorted({row.camera for row in rows if row.camera})
    are_numbers = all(n.isdecimal() and len(n) <= _DIGITS for n in names)
    numbers = {n: int(n) for n in names} if are_numbers else {n: i for i, n in enumerate(names)}
    tracklets: dict[tuple[str, str], int] = {}
    samples = tuple(
        Sample(
            row.path,
            0,
            numbers.get(row.camera, UNKNOWN_CAMERA),
            row.time,
            None if row.tracklet is None else tracklets.setdefault(row.tracklet, len(tracklets)),
        )
        for row in rows
    )
    if unknown := sum(not row.camera for row in rows):
        notes.append(f"{unknown:,} of {len(rows):,} crops name no camera")
    return Crops(samples, {number: name for name, number in numbers.items()}, tuple(notes))

"""Boxes in a folder of YOLO label files, one a frame, with or without tracks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, real_numbers, whole_number


def read_yolo(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read `class cx cy w h [confidence] [track]` lines, lengths as shares of the picture; class 0 is a person.

    The frame is the last number in a file's name. A sixth column of whole numbers is a track (1 or 1.0 alone is a
    confidence), of seven columns the last is the track. Where the second of six columns is a whole number everywhere,
    it is the track, as in the labels of JDE (`class track cx cy w h`).

    Args:
        path: folder of .txt files (or one with a folder `labels`).
        first_frame: number in the name of the film's first frame.

    Returns:
        Boxes as the file has them: shares, unless the numbers are pixels.

    Raises:
        DataError: no label files, or a line that is wrong (the message names it).
    """
    folder = path / "labels" if (path / "labels").is_dir() else path
    files = sorted(file for file in folder.glob("*.txt") if re.search(r"\d", file.stem))
    if not files:
        raise DataError(f"{folder}: expected label files such as film_000001.txt, found none")
    found = BoxFile(path, "yolo")
    rows = [row for file in files for row in _rows(file)]
    return found.add(_boxes(found, rows, _columns(rows)), first_frame)


@dataclass(frozen=True)
class _Columns:
    """Where what stands; -1: nowhere."""

    box: int
    track: int
    score: int


@dataclass(frozen=True)
class _Row:
    file: Path
    line: int
    texts: list[str]
    numbers: list[float]


def _rows(file: Path) -> Iterator[_Row]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        fields = text.split()
        if len(fields) not in (5, 6, 7):
            raise DataError(f"{file}, row {line}: {text!r} is not like `class cx cy w h [confidence] [track]`")
        yield _Row(file, line, fields, real_numbers(fields, f"{file}, row {line}"))


def _columns(rows: list[_Row]) -> dict[int, _Columns]:
    """Columns by the number of fields of a row."""
    six = [row for row in rows if len(row.texts) == 6]
    found = {5: _Columns(1, -1, -1), 6: _Columns(1, -1, 5), 7: _Columns(1, 6, 5)}
    if six and all(re.fullmatch(r"-?\d+", row.texts[1]) for row in six) and all(row.numbers[2] <= 1 for row in six):
        found[6] = _Columns(2, 1, -1)
    elif six and all(re.fullmatch(r"\d+(\.0*)?", row.texts[5]) for row in six) and _are_tracks(six):
        found[6] = _Columns(1, 5, -1)
    return found


def _are_tracks(rows: list[_Row]) -> bool:
    """Whether whole numbers in the sixth column are tracks: other ones than a confidence of 1."""
    return {row.numbers[5] for row in rows} != {1.0} and (
        any(row.numbers[5] > 1 for row in rows) or all(row.texts[5].isdigit() for row in rows)
    )


def _boxes(found: BoxFile, rows: list[_Row], columns: dict[int, _Columns]) -> Iterator[Box]:
    for row in rows:
        place = columns[len(row.texts)]
        if row.numbers[0] != 0:
            found.skip(f"class {row.numbers[0]:g}, not a person (0)")
            continue
        frame = int(re.findall(r"\d+", row.file.stem)[-1])
        cx, cy, width, height = row.numbers[place.box : place.box + 4]
        score = row.numbers[place.score] if place.score >= 0 else None
        track = -1
        if place.track >= 0:
            track = whole_number(row.texts[place.track], f"{row.file}, row {row.line}", "track")
        yield Box(frame, track, cx - width / 2, cy - height / 2, width, height, score, row.line)

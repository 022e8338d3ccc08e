"""Boxes in a folder of YOLO label files, one a frame, with or without tracks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, real_numbers, whole_number


def read_yolo(path: Path, first_frame: int | None = None, *, size: tuple[int, int] | None) -> BoxFile:
    """Read `class cx cy w h [confidence] [track]` lines; lengths are shares of the picture; class 0 is a person.

    The frame is the last number in a file's name. A sixth column of whole numbers above 1 is a track, otherwise a
    confidence; of seven columns the last is the track.

    Args:
        path: folder of .txt files (or one with a folder `labels`).
        first_frame: number in the name of the film's first frame.
        size: (width, height) of the film's picture, pixels.

    Raises:
        DataError: no label files, no size, or a line that is wrong (the message names it).
    """
    if size is None:
        raise DataError(f"{path}: YOLO's boxes are shares of the picture; say its size, size=(width, height)")
    folder = path / "labels" if (path / "labels").is_dir() else path
    files = sorted(file for file in folder.glob("*.txt") if re.search(r"\d", file.stem))
    if not files:
        raise DataError(f"{folder}: expected label files such as film_000001.txt, found none")
    found = BoxFile(path, "yolo")
    rows = [row for file in files for row in _rows(file)]
    sixth = [fields[5] for _, _, fields in rows if len(fields) == 6]
    tracks = any(value > 1 for value in sixth) and all(value.is_integer() for value in sixth)
    return found.add(_boxes(found, rows, size, sixth_is_track=tracks), first_frame)


def _rows(file: Path) -> Iterator[tuple[Path, int, list[float]]]:
    for line, text in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        fields = real_numbers(text.split(), f"{file}, row {line}")
        if len(fields) not in (5, 6, 7):
            raise DataError(f"{file}, row {line}: {text!r} is not like `class cx cy w h [confidence] [track]`")
        yield file, line, fields


def _boxes(
    found: BoxFile, rows: list[tuple[Path, int, list[float]]], size: tuple[int, int], *, sixth_is_track: bool
) -> Iterator[Box]:
    for file, line, fields in rows:
        where = f"{file}, row {line}"
        if fields[0] != 0:
            found.skip(f"class {fields[0]:g}, not a person (0)")
            continue
        frame = int(re.findall(r"\d+", file.stem)[-1])
        cx, cy, w, h = fields[1:5]
        width, height = w * size[0], h * size[1]
        last = fields[-1] if len(fields) == 7 or (len(fields) == 6 and sixth_is_track) else -1
        score = fields[5] if len(fields) == 7 or (len(fields) == 6 and not sixth_is_track) else None
        track = whole_number(last, where, "track")
        yield Box(frame, track, cx * size[0] - width / 2, cy * size[1] - height / 2, width, height, score, line)

"""Boxes in the format of KITTI's tracking benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, real_numbers, whole_number

_EXAMPLE = (
    "0 2 Pedestrian 0 0 -1.79 296.7 161.8 455.2 292.4 ... (frame track type truncated occluded alpha x1 y1 x2 y2)"
)


def read_kitti(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read `frame track type truncated occluded alpha x1 y1 x2 y2 ... [score]` lines; frames count from 0.

    Pedestrian, Person and Person_sitting are taken; other types are counted and left out. Of 18 columns the last is a
    score, -1 for none.

    Raises:
        DataError: unreadable, or a line that is wrong (the message names it).
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the boxes cannot be read ({error})") from None
    found = BoxFile(path, "kitti")
    return found.add(_boxes(found, lines), 0 if first_frame is None else first_frame)


def _boxes(found: BoxFile, lines: list[str]) -> Iterator[Box]:
    for row, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{found.path}, row {row}"
        if len(fields) < 10:
            raise DataError(f"{where}: {line!r} is not like {_EXAMPLE}")
        if not found.takes_label(fields[2]):
            continue
        left, top, right, bottom = real_numbers(fields[6:10], where)
        score = real_numbers(fields[17:18], f"{where}, score")[0] if len(fields) >= 18 else None
        frame, track = whole_number(fields[0], where, "frame"), whole_number(fields[1], where, "track")
        yield Box(frame, track, left, top, right - left, bottom - top, None if score == -1 else score, row)

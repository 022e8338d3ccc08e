"""Boxes in the format of the MOT challenge: detections, ground truths and results."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile
from passerby.tracking.boxes.csv_table import read_csv
from passerby.tracking.boxes.mot_columns import MotColumns, find_columns

_EXAMPLE = "1,3,794.2,47.5,71.2,174.8,1"
_NOT_GIVEN = -1.0  # MOT's filler of columns
_HEADINGS = (
    {"frame", "frameid", "framenumber", "framenum", "frameindex", "frameno"},
    {"id", "track", "trackid", "trackerid", "objectid", "targetid", "identity"},
    {"x", "x1", "left", "bbleft", "bboxleft", "bbx"},
    {"y", "y1", "top", "bbtop", "bboxtop", "bby"},
    {"w", "width", "bbwidth", "bboxwidth", "bbw"},
    {"h", "height", "bbheight", "bboxheight", "bbh"},
    {"conf", "confidence", "score", "flag", "active", "considered", "notignored"},
)


def read_mot(path: str | os.PathLike[str], *, first_frame: int = 1) -> list[Box]:
    """The boxes of `read_mot_file`.

    Args:
        path: the file.
        first_frame: number that the file gives the film's first frame.

    Raises:
        DataError: the file is missing or empty, or a line is wrong (the message names it).
    """
    return read_mot_file(Path(path).expanduser(), first_frame).boxes


def read_mot_file(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read boxes in MOT format, `frame,id,x,y,w,h[,conf,...]` a line.

    Columns may also be separated by semicolons, blanks or tabs, and a line may end with a separator. A first line that
    names the columns makes the file a table, which `read_csv` reads. Without one, what most rows show decides for all,
    and rows that cannot be read so are refused. A `conf` of exactly -1 means "not given".

    - `flag,class,visibility` (flag 0 or 1, class from 1, visibility 0 to 1) behind the box: a ground truth as of MOT16,
      whose seventh column is no confidence. So is a file without the visibility, or with another number there, where
      both flags occur and nothing else.
    - A flag before a place in the world: a ground truth of 2D MOT 2015. VisDrone's score, category, truncation and
      occlusion are recognised by their ranges.
    - `conf,class` or `conf,class,index` (-1: none): a tracker's result, in which a person is 0 where there is a 0, else
      1; `conf,class,-1,-1` without a 0: a result of VisDrone, in which people are 1 and 2. Others are left out and
      counted.

    Args:
        path: the file.
        first_frame: number that the file gives the film's first frame; None: 1.

    Raises:
        DataError: the file is missing or empty, or a line is wrong (the message names it).
    """
    first = 1 if first_frame is None else first_frame
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the boxes cannot be read ({error})") from None
    table = [(row, line, _fields(line)) for row, line in enumerate(lines, start=1) if line.strip()]
    if not table:
        raise DataError(f"{path}: no boxes; expected lines like {_EXAMPLE}")
    if _is_header(table[0][2]):
        return read_csv(path, first_frame)
    rows = [(row, *_numbers(fields, line, f"{path}, row {row}", first)) for row, line, fields in table]
    columns = find_columns(path, [(row, values[4:]) for row, _, _, values in rows])
    found = BoxFile(path, "mot", notes=[columns.note] if columns.note else [])
    return found.add(_boxes(found, rows, columns, first), 1)


def _fields(line: str) -> list[str]:
    separator = next((mark for mark in ";," if mark in line), None)
    text = line.replace(",", ".") if separator == ";" else line  # a decimal comma
    fields = [field.strip() for field in text.strip().split(separator)]
    return fields[:-1] if fields and fields[-1] == "" else fields


def _is_header(fields: Sequence[str]) -> bool:
    """Whether the columns are named, in MOT's order; any other words are an error of the first line."""
    names = [re.sub(r"[^a-z0-9]", "", field.lower()) for field in fields if field != "#"]
    return len(names) >= 6 and all(name in known for name, known in zip(names, _HEADINGS, strict=False))


def _numbers(fields: Sequence[str], line: str, where: str, first_frame: int) -> tuple[int, int, list[float]]:
    """(frame, track, the columns after them); 64-bit tracks keep all their digits."""
    try:
        values = [float(value) for value in fields]
    except ValueError:
        values = []
    if len(values) < 6 or not all(map(math.isfinite, values[:7])):
        raise DataError(f"{where}: {line!r} is not like {_EXAMPLE} (frame,id,x,y,w,h,conf; conf -1: not given)")
    frame, track = values[:2]
    if frame < first_frame or not frame.is_integer() or not track.is_integer():
        hint = "; where a file counts from 0, --first-frame 0 (first_frame=0) says so" if frame == 0 else ""
        raise DataError(
            f"{where}: frame {frame:g} of track {track:g}; frames are whole numbers from {first_frame}, tracks whole "
            f"numbers{hint}"
        )
    return int(frame), int(fields[1]) if re.fullmatch(r"-?\d+", fields[1]) else int(track), values[2:]


def _boxes(
    found: BoxFile, rows: Sequence[tuple[int, int, int, Sequence[float]]], columns: MotColumns, first_frame: int
) -> Iterator[Box]:
    for row, frame, track, values in rows:
        x, y, width, height, *behind = values
        category = int(behind[1]) if columns.classes and len(behind) > 1 else None
        if columns.people is not None and category not in (None, -1, *columns.people):
            found.skip(f"class {category}, not a person ({' or '.join(map(str, columns.people))})")
            continue
        score = behind[0] if behind and not columns.flag and behind[0] != _NOT_GIVEN else None
        yield Box(
            frame - first_frame + 1,
            track,
            x,
            y,
            width,
            height,
            score,
            row,
            ignored=columns.flag and behind[0] == 0,
            category=None if columns.people is not None else category,
        )

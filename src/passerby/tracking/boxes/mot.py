"""Boxes in the format of the MOT challenge: detections, ground truths and results."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box

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
    """Read boxes in MOT format, `frame,id,x,y,w,h[,conf,...]` a line.

    Columns may also be separated by semicolons, blanks or tabs, a line may end with a separator, and the first line may
    name the columns. A `conf` of exactly -1 means "not given". A file of nine columns
    `frame,id,x,y,w,h,flag,class,visibility` (flag 0 or 1, class from 1, visibility 0 to 1) is a ground truth as of
    MOT16, and its seventh column no confidence.

    Args:
        path: the file.
        first_frame: number that the file gives the film's first frame.

    Raises:
        DataError: the file is missing or empty, or a line is wrong (the message names it).
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    table = [(row, line, _fields(line)) for row, line in enumerate(lines, start=1) if line.strip()]
    if table and _is_header(table[0][2]):
        del table[0]
    if not table:
        raise DataError(f"{file}: no boxes; expected lines like {_EXAMPLE}")
    rows = [(row, *_numbers(fields, line, f"{file}, row {row}", first_frame)) for row, line, fields in table]
    truth = all(_is_ground_truth(values) for _, _, _, values in rows)
    return [_box(row, frame - first_frame + 1, track, values, truth) for row, frame, track, values in rows]


def _fields(line: str) -> list[str]:
    separator = next((mark for mark in ",;" if mark in line), None)
    fields = [field.strip() for field in line.strip().split(separator)]
    return fields[:-1] if fields[-1] == "" else fields


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
    if len(values) < 6 or not all(map(math.isfinite, values[:6])):
        raise DataError(f"{where}: {line!r} is not like {_EXAMPLE} (frame,id,x,y,w,h,conf)")
    frame, track = values[:2]
    if frame < first_frame or not frame.is_integer() or not track.is_integer():
        hint = "; where a file counts from 0, --first-frame 0 (first_frame=0) says so" if frame == 0 else ""
        raise DataError(
            f"{where}: frame {frame:g} of track {track:g}; frames are whole numbers from {first_frame}, tracks whole "
            f"numbers{hint}"
        )
    return int(frame), int(fields[1]) if re.fullmatch(r"-?\d+", fields[1]) else int(track), values[2:]


def _is_ground_truth(values: Sequence[float]) -> bool:
    """Whether x,y,w,h are followed by flag,class,visibility; a result of nine columns has a -1 or a fraction there."""
    if len(values) != 7:
        return False
    flag, category, visibility = values[4:]
    return flag in (0, 1) and category >= 1 and category.is_integer() and 0 <= visibility <= 1


def _box(row: int, frame: int, track: int, values: Sequence[float], truth: bool) -> Box:
    x, y, width, height = values[:4]
    if truth:
        return Box(frame, track, x, y, width, height, None, row, ignored=values[4] == 0, category=int(values[5]))
    given = len(values) > 4 and values[4] != _NOT_GIVEN
    return Box(frame, track, x, y, width, height, values[4] if given else None, row)

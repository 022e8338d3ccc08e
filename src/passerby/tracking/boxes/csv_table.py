"""Boxes in a CSV file whose header names the columns, in any order."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, plain, real_numbers, whole_number

COLUMNS: dict[str, tuple[str, ...]] = {
    "frame": ("frame", "frameid", "framenumber", "framenum", "frameindex", "frameno"),
    "track": ("id", "track", "trackid", "trackerid", "objectid", "targetid", "identity", "personid", "pid"),
    "x": ("x", "left", "bbleft", "bboxleft", "bbx", "xmin", "x1", "bboxx1", "xtl"),
    "y": ("y", "top", "bbtop", "bboxtop", "bby", "ymin", "y1", "bboxy1", "ytl"),
    "width": ("w", "width", "bbwidth", "bboxwidth", "bbw"),
    "height": ("h", "height", "bbheight", "bboxheight", "bbh"),
    "right": ("x2", "xmax", "right", "bboxx2", "xbr"),
    "bottom": ("y2", "ymax", "bottom", "bboxy2", "ybr"),
    "confidence": ("conf", "confidence", "score", "probability"),
    "label": ("label", "class", "classname", "category", "type"),
}
"""What a column is: names under which it is found, without case, blanks and underscores."""
_EXAMPLE = "frame,track_id,x1,y1,x2,y2,score or frame,id,x,y,w,h"


def read_csv(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read boxes from a CSV file with a header.

    Columns: frame, x and y, and width and height or x2 and y2; optional: a track, a confidence (-1: not given), a
    label (rows that are not people are counted and left out; a number is MOT's or COCO's class, of which 0 and 1 are
    taken). Columns with other names are ignored and named in the notes.

    Raises:
        DataError: unreadable, without a needed column, or a row that is wrong (the message names it).
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the boxes cannot be read ({error})") from None
    lines = text.splitlines()
    separator = next((mark for mark in ";\t" if lines and mark in lines[0]), ",")
    rows = list(csv.reader(lines, delimiter=separator))
    names = [plain(name) for name in rows[0]] if rows else []
    places = {
        what: next(names.index(known) for known in known_names if known in names)
        for what, known_names in COLUMNS.items()
        if set(known_names) & set(names)
    }
    sized = {"width", "height"} <= places.keys() or {"right", "bottom"} <= places.keys()
    if not {"frame", "x", "y"} <= places.keys() or not sized:
        raise DataError(
            f"{path}, row 1: expected a header such as {_EXAMPLE}, found {','.join(rows[0] if rows else [])!r}"
        )
    found = BoxFile(path, "csv")
    unused = [name for place, name in enumerate(rows[0]) if place not in places.values()]
    if unused:
        found.notes.append(f"columns that were not used: {', '.join(unused)}")
    return found.add(_boxes(found, rows[1:], places, len(names)), first_frame)


def _boxes(found: BoxFile, rows: list[list[str]], places: dict[str, int], columns: int) -> Iterator[Box]:
    for row, cells in enumerate(rows, start=2):
        where = f"{found.path}, row {row}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < columns:
            raise DataError(f"{where}: {len(cells)} columns; the header has {columns}")
        cell = {what: cells[place].strip() for what, place in places.items()}
        label = cell.get("label") or None
        if label not in ("0", "1") and not found.takes_label(label):
            continue
        x, y = real_numbers((cell["x"], cell["y"]), where)
        if "width" in cell:
            width, height = real_numbers((cell["width"], cell["height"]), where)
        else:
            right, bottom = real_numbers((cell["right"], cell["bottom"]), where)
            width, height = right - x, bottom - y
        score = real_numbers([cell["confidence"]], where)[0] if cell.get("confidence") else -1.0
        track = whole_number(cell["track"], where, "track") if cell.get("track") else -1
        frame = whole_number(cell["frame"], where, "frame")
        yield Box(frame, track, x, y, width, height, None if score == -1 else score, row)

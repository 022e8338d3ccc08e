"""Boxes in a CSV file whose header names the columns, in any order."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import (
    BoxFile,
    frame_of_name,
    label_text,
    person_number,
    plain,
    real_numbers,
    whole_number,
)
from passerby.tracking.boxes.mot import is_mot_header

COLUMNS: dict[str, tuple[str, ...]] = {
    "frame": ("frame", "frameid", "framenumber", "framenum", "frameindex", "frameno"),
    "image": ("image", "imagename", "imageid", "imagepath", "file", "filename", "path", "img"),
    "track": ("id", "track", "trackid", "trackerid", "objectid", "targetid", "identity", "personid", "pid"),
    "x": ("x", "left", "bbleft", "bboxleft", "bbx", "bboxx", "xmin", "x1", "bboxx1", "xtl", "x0"),
    "y": ("y", "top", "bbtop", "bboxtop", "bby", "bboxy", "ymin", "y1", "bboxy1", "ytl", "y0"),
    "width": ("w", "width", "bbwidth", "bboxwidth", "bbw", "bboxw"),
    "height": ("h", "height", "bbheight", "bboxheight", "bbh", "bboxh"),
    "right": ("x2", "xmax", "right", "bboxx2", "xbr"),
    "bottom": ("y2", "ymax", "bottom", "bboxy2", "ybr"),
    "center_x": ("cx", "xc", "xcenter", "centerx", "xcentre", "centrex", "bboxcx", "bbcx", "bboxxcenter"),
    "center_y": ("cy", "yc", "ycenter", "centery", "ycentre", "centrey", "bboxcy", "bbcy", "bboxycenter"),
    "confidence": ("conf", "confidence", "score", "probability"),
    "label": ("label", "class", "classname", "category", "type", "name", "classid", "categoryid", "cls"),
}
"""What a column is: names under which it is found, without case, blanks and underscores."""
_EXAMPLE = "frame,track_id,x1,y1,x2,y2,score or frame,id,x,y,w,h"


def has_csv_header(line: str) -> bool:
    """Whether a line names columns: a frame (or an image) and a box, and not in MOT's order."""
    if is_mot_header(line):
        return False
    places = _places(_cells([line])[0])
    return ("frame" in places or "image" in places) and len(places) >= 5


def read_csv(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read boxes from a table with a header, separated by commas, semicolons, tabs or blanks.

    Columns: a frame (or an image's name, of which the last number is the frame); x and y, or the centre, with width
    and height, or x1, y1, x2 and y2; optional: a track, a confidence (-1: not given), a label. Rows that are not people
    are counted and left out; of numbered classes 0 is a person where there is a 0, else 1. Columns with other names are
    ignored and named in the notes. With semicolons numbers may have a decimal comma.

    Raises:
        DataError: unreadable, without a needed column, or a row that is wrong (the message names it).
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the boxes cannot be read ({error})") from None
    rows = _cells(text.splitlines())
    places = _places(rows[0]) if rows else {}
    centred = {"center_x", "center_y", "width", "height"} <= places.keys()
    cornered = {"x", "y"} <= places.keys() and (
        {"width", "height"} <= places.keys() or {"right", "bottom"} <= places.keys()
    )
    if not {"frame", "image"} & places.keys() or not (centred or cornered):
        raise DataError(
            f"{path}, row 1: expected a header such as {_EXAMPLE}, found {','.join(rows[0] if rows else [])!r}"
        )
    found = BoxFile(path, "csv")
    unused = [name for place, name in enumerate(rows[0]) if place not in places.values() and name.strip()]
    if unused:
        found.notes.append(f"columns that were not used: {', '.join(unused)}")
    return found.add(_boxes(found, rows[1:], places, centred=not cornered), first_frame)


def _cells(lines: list[str]) -> list[list[str]]:
    """Rows of cells; empty lines keep their place."""
    heading = lines[0].lstrip("# ") if lines else ""
    separator = next((mark for mark in ";\t," if mark in heading), None)
    if separator is None:
        return [line.lstrip("# ").split() if row == 0 else line.split() for row, line in enumerate(lines)]
    rows = list(csv.reader([heading, *lines[1:]], delimiter=separator, skipinitialspace=True))
    return [[cell.replace(",", ".") for cell in row] for row in rows] if separator == ";" else rows


def _places(names: list[str]) -> dict[str, int]:
    """Column of each thing that is known by its name."""
    plain_names = [plain(name) for name in names]
    return {
        what: next(plain_names.index(known) for known in known_names if known in plain_names)
        for what, known_names in COLUMNS.items()
        if set(known_names) & set(plain_names)
    }


def _boxes(found: BoxFile, rows: list[list[str]], places: dict[str, int], *, centred: bool) -> Iterator[Box]:
    wanted = max(places.values()) + 1
    labels = [cells[places["label"]] for cells in rows if "label" in places and len(cells) >= wanted]
    person = person_number(labels)
    for row, cells in enumerate(rows, start=2):
        where = f"{found.path}, row {row}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < wanted:
            raise DataError(f"{where}: {len(cells)} columns; the header has {wanted}")
        cell = {what: cells[place].strip() for what, place in places.items()}
        label = label_text(cell["label"]) if cell.get("label") else None
        if label != person and not found.takes_label(label):
            continue
        x, y, width, height = _sides(cell, where, centred=centred)
        score = real_numbers([cell["confidence"]], where)[0] if cell.get("confidence") else -1.0
        track = whole_number(cell["track"], where, "track") if cell.get("track") else -1
        frame = whole_number(cell["frame"], where, "frame") if "frame" in cell else frame_of_name(cell["image"], where)
        yield Box(frame, track, x, y, width, height, None if score == -1 else score, row)


def _sides(cell: dict[str, str], where: str, *, centred: bool) -> tuple[float, float, float, float]:
    """Left, top, width, height."""
    if centred:
        cx, cy, width, height = real_numbers([cell[n] for n in ("center_x", "center_y", "width", "height")], where)
        return cx - width / 2, cy - height / 2, width, height
    x, y = real_numbers((cell["x"], cell["y"]), where)
    if "width" in cell and "height" in cell:
        width, height = real_numbers((cell["width"], cell["height"]), where)
        return x, y, width, height
    right, bottom = real_numbers((cell["right"], cell["bottom"]), where)
    return x, y, right - x, bottom - y

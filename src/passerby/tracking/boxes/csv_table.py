"""Boxes in a CSV file whose header names the columns, in any order."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import (
    FLAGS,
    MARKS,
    BoxFile,
    frame_of_name,
    is_flag,
    is_not_counted,
    label_text,
    person_number,
    plain,
    real_numbers,
    whole_number,
)

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
_VISIBILITY = frozenset({"visibility", "vis", "visibilityratio", "visratio"})
_EXAMPLE = "frame,track_id,x1,y1,x2,y2,score or frame,id,x,y,w,h"


def has_csv_header(line: str) -> bool:
    """Whether a line names columns: a frame (or an image) and a box."""
    places = _places(_cells([line])[0])
    return ("frame" in places or "image" in places) and len(places) >= 5


@dataclass(frozen=True)
class _Table:
    """Rows below a header.

    Attributes:
        header: names.
        rows: number and cells of those that are not empty.
        places: column of each thing of `COLUMNS`.
        marks: columns that say what is to be counted, or is not.
        truth: the classes are those of a MOT ground truth.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    places: dict[str, int]
    marks: dict[str, int]
    truth: bool = False


def read_csv(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read boxes from a table with a header, separated by commas, semicolons, tabs or blanks.

    Columns: a frame (or an image's name, of which the last number is the frame); x and y, or the centre, with width
    and height, or x1, y1, x2 and y2; optional: a track, a confidence (-1: not given), a label, and marks of what is not
    to be counted (`ignored`, `iscrowd` that are set; `flag`, `considered` that are 0). Rows that are not people are
    counted and left out; of numbered classes 0 is a person where there is a 0, else 1; beside a flag, where there is no
    0, they are MOT's. A confidence of 0 and 1 alone beside a class and a visibility is a ground truth's flag. Columns
    with other names are ignored and named in the notes. With semicolons numbers may have a decimal comma.

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
    table = _table(found, rows, places)
    used = {*table.places.values(), *table.marks.values()}
    unused = [name for place, name in enumerate(table.header) if place not in used and name.strip()]
    if unused:
        found.notes.append(f"columns that were not used: {', '.join(unused)}")
    return found.add(_boxes(found, table, centred=not cornered), first_frame)


def _table(found: BoxFile, rows: list[list[str]], places: dict[str, int]) -> _Table:
    header = rows[0]
    marks = {name: place for place, name in enumerate(header) if plain(name) in MARKS | FLAGS}
    wanted = max([*places.values(), *marks.values()]) + 1
    filled = [(row, cells) for row, cells in enumerate(rows[1:], start=2) if any(cell.strip() for cell in cells)]
    for row, cells in filled:
        if len(cells) < wanted:
            raise DataError(f"{found.path}, row {row}: {len(cells)} columns; the header has {wanted}")
    table = _Table(header, filled, places, marks)
    for name, place in marks.items():
        other = next((row for row, cells in filled if plain(name) in FLAGS and not is_flag(cells[place])), None)
        if other is not None:
            raise DataError(
                f"{found.path}, row {other}: {name} {rows[other - 1][place]!r}; expected 0 (not to be counted) or 1"
            )
    if not _has_mot_classes(table):
        return table
    if any(plain(name) in FLAGS for name in marks):
        return replace(table, truth=True)
    return _with_confidence_as_flag(found, table)


def _has_mot_classes(table: _Table) -> bool:
    """Whether classes are numbers from 1; beside a visibility a few may be 0, which MOT does not have."""
    if "label" not in table.places:
        return False
    labels = [label for _, cells in table.rows if (label := label_text(cells[table.places["label"]]))]
    zeros = labels.count("0")
    few = zeros * 2 <= len(labels) if _has_visibility(table) else zeros == 0
    return few and all(label.isdigit() for label in labels)


def _has_visibility(table: _Table) -> bool:
    return any(plain(name) in _VISIBILITY for name in table.header)


def _with_confidence_as_flag(found: BoxFile, table: _Table) -> _Table:
    """MOT names a ground truth's columns conf, class and visibility, although the first of them is a flag."""
    if "confidence" not in table.places or not _has_visibility(table):
        return table
    place = table.places["confidence"]
    other = [row for row, cells in table.rows if label_text(cells[place]) not in ("0", "1")]
    if len(other) * 2 >= len(table.rows) > 0:
        return table
    name = table.header[place]
    if other:
        raise DataError(
            f"{found.path}, row {other[0]}: {name} beside a class and a visibility is 0 or 1 in most rows, a ground "
            "truth's flag, but not here; mend it, or leave out the column visibility if it is a confidence"
        )
    found.notes.append(f"column {name} is read as a ground truth's flag, as class and visibility stand beside it")
    places = {what: at for what, at in table.places.items() if what != "confidence"}
    return replace(table, places=places, marks={**table.marks, "flag": place}, truth=True)


def _cells(lines: list[str]) -> list[list[str]]:
    """Rows of cells; empty lines keep their place."""
    heading = lines[0].lstrip("# ") if lines else ""
    below = next((line for line in lines[1:] if line.strip()), "")
    return [*_split([heading], _separator(heading)), *_split(lines[1:], _separator(below))]


def _separator(line: str) -> str | None:
    """None: blanks."""
    return next((mark for mark in ";\t," if mark in line), None)


def _split(lines: list[str], separator: str | None) -> list[list[str]]:
    if separator is None:
        return [line.split() for line in lines]
    rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    return [[cell.replace(",", ".") for cell in row] for row in rows] if separator == ";" else rows


def _places(names: list[str]) -> dict[str, int]:
    """Column of each thing that is known by its name."""
    plain_names = [plain(name) for name in names]
    world = {"x", "y", "z"}  # MOT's place in the world, where the box has sides of other names
    if world < {*plain_names} and all((set(COLUMNS[side]) - world) & {*plain_names} for side in ("x", "y")):
        plain_names = ["" if name in world else name for name in plain_names]
    return {
        what: next(plain_names.index(known) for known in known_names if known in plain_names)
        for what, known_names in COLUMNS.items()
        if set(known_names) & set(plain_names)
    }


def _boxes(found: BoxFile, table: _Table, *, centred: bool) -> Iterator[Box]:
    label_at = table.places.get("label")
    person = person_number(cells[label_at] for _, cells in table.rows) if label_at is not None else "0"
    for row, cells in table.rows:
        where = f"{found.path}, row {row}"
        cell = {what: cells[place].strip() for what, place in table.places.items()}
        label = label_text(cell["label"]) if cell.get("label") else None
        if not table.truth and label != person and not found.takes_label(label):
            continue
        x, y, width, height = _sides(cell, where, centred=centred)
        score = real_numbers([cell["confidence"]], where)[0] if cell.get("confidence") else -1.0
        track = whole_number(cell["track"], where, "track") if cell.get("track") else -1
        frame = whole_number(cell["frame"], where, "frame") if "frame" in cell else frame_of_name(cell["image"], where)
        yield Box(
            frame,
            track,
            x,
            y,
            width,
            height,
            None if score == -1 else score,
            row,
            ignored=is_not_counted({name: cells[place] for name, place in table.marks.items()}),
            category=int(label) if table.truth and label is not None else None,
        )


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

"""Boxes as JSON lines: one object a box, one a frame, or DeepStream's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import (
    BoxFile,
    brief,
    is_not_counted,
    label_text,
    person_number,
    real_numbers,
    whole_number,
)

_EXAMPLE = '{"frame": 1, "track": 3, "bbox": [x, y, width, height], "score": 0.9}'
_FRAMES = ("frame", "frame_id", "frame_index", "frame_number", "frameNumber", "frame_num", "frameId")
_TRACKS = ("track", "track_id", "tracker_id", "trackId", "object_id", "identity", "id")
_SCORES = ("score", "confidence", "conf", "probability")
_LABELS = ("label", "class_name", "class", "category", "name", "type", "class_id", "category_id")
_LISTS = ("objects", "detections", "tracks", "boxes", "predictions")
_CORNERS = ("xyxy", "tlbr", "ltrb", "x1y1x2y2")
_SIZED = ("bbox", "tlwh", "ltwh", "xywh")
_CENTRED = ("cxcywh", "xcycwh")
_SIDES = {
    ("x1", "y1", "x2", "y2"): "corners",
    ("xmin", "ymin", "xmax", "ymax"): "corners",
    ("left", "top", "right", "bottom"): "corners",
    ("left", "top", "width", "height"): "size",
    ("x", "y", "width", "height"): "size",
    ("x", "y", "w", "h"): "size",
    ("cx", "cy", "w", "h"): "center",
}
"""Names of the sides where a box is an object, and what they are."""


def read_json_lines(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read one JSON object a line.

    - A box: `frame` (or `frame_id`, ...); `bbox` [x, y, width, height], `xyxy` [x1, y1, x2, y2], `cxcywh` (centre and
      size) or an object of named sides (`bbox`, `box`, or the entry itself); optional a `track` (or `track_id`, `id`),
      `score` or `confidence`, `label` (or `class`, `name`; of numbers 0 is a person where there is a 0, else 1); what
      is marked `ignore` or `iscrowd`, also under `attributes`, is not to be counted.
    - A frame: `frame` and `objects` (or `detections`, `tracks`), a list of such boxes without `frame`.
    - DeepStream's minimal message: `id` is the frame, `objects` a list of texts
      "track|x1|y1|x2|y2|label|...".

    Raises:
        DataError: unreadable, or a line that is wrong (the message names it).
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the boxes cannot be read ({error})") from None
    found = BoxFile(path, "json lines")
    return found.add(boxes_of_entries(found, list(_entries(path, lines)), "row"), first_frame)


def _entries(path: Path, lines: list[str]) -> Iterator[tuple[int, Any]]:
    for row, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield row, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, row {row}: not JSON ({error}); expected lines like {_EXAMPLE}") from None


def boxes_of_entries(found: BoxFile, entries: Sequence[tuple[int, Any]], what: str) -> Iterator[Box]:
    """Boxes of objects as `read_json_lines` describes them.

    Args:
        found: where entries that are not people are counted.
        entries: numbered.
        what: name of an entry, for messages.

    Raises:
        DataError: an entry that is wrong, or entries of several films.
    """
    films = {str(entry["film"]) for _, entry in entries if isinstance(entry, dict) and "film" in entry}
    if len(films) > 1:
        raise DataError(f"{found.path}: boxes of {len(films)} films ({', '.join(sorted(films))}); expected one film")
    items = [
        (row, frame, item) for row, entry in entries for frame, item in _items(entry, f"{found.path}, {what} {row}")
    ]
    person = person_number(_first(item, _LABELS) for _, _, item in items)
    for row, frame, item in items:
        label = _first(item, _LABELS)
        text = None if label is None else label_text(label)
        if text == person or found.takes_label(text):
            yield _box(item, frame, row, f"{found.path}, {what} {row}")


def _items(entry: Any, where: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The boxes of an entry with their frame."""
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object like {_EXAMPLE}, found {brief(entry)}")
    objects = next((entry[name] for name in _LISTS if isinstance(entry.get(name), list)), None)
    frame = _first(entry, _FRAMES)
    if frame is None and objects is not None:
        frame = entry.get("id")
    number = whole_number(frame, where, "frame")
    for item in [entry] if objects is None else objects:
        parsed = _deepstream(item, where) if isinstance(item, str) else item
        if not isinstance(parsed, Mapping):
            raise DataError(f"{where}: expected a box like {_EXAMPLE}, found {brief(item)}")
        yield number, parsed


def _first(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _deepstream(text: str, where: str) -> dict[str, Any]:
    parts = text.split("|")
    if len(parts) < 5:
        raise DataError(f"{where}: expected track|x1|y1|x2|y2|label, found {brief(text)}")
    return {"track": parts[0], "xyxy": parts[1:5], "label": parts[5] if len(parts) > 5 and parts[5] else None}


def _box(item: Mapping[str, Any], frame: int, row: int, where: str) -> Box:
    left, top, width, height = _sides(item, where)
    number, score = _first(item, _TRACKS), _first(item, _SCORES)
    track = -1 if number is None else whole_number(number, where, "track")
    confidence = None if score is None else real_numbers([score], f"{where}, score")[0]
    confidence = None if confidence == -1 else confidence
    more = item.get("attributes")
    ignored = is_not_counted({**(more if isinstance(more, Mapping) else {}), **item})
    return Box(frame, track, left, top, width, height, confidence, row, ignored=ignored)


def _sides(item: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """Left, top, width, height."""
    inner = next((item[name] for name in ("bbox", "box", "rect") if isinstance(item.get(name), Mapping)), item)
    for keys, kind in _SIDES.items():
        if all(key in inner for key in keys):
            return _left_top_size(real_numbers([inner[key] for key in keys], where), kind)
    for names, kind in ((_CORNERS, "corners"), (_CENTRED, "center"), (_SIZED, "size")):
        given = _first(item, names)
        if isinstance(given, (list, tuple)) and len(given) == 4:
            return _left_top_size(real_numbers(given, where), kind)
    raise DataError(f"{where}: expected bbox [x, y, width, height] or xyxy [x1, y1, x2, y2], found {brief(dict(item))}")


def _left_top_size(sides: Sequence[float], kind: str) -> tuple[float, float, float, float]:
    a, b, c, d = sides
    if kind == "center":
        return a - c / 2, b - d / 2, c, d
    return (a, b, c - a, d - b) if kind == "corners" else (a, b, c, d)

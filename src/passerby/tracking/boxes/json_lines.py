"""Boxes as JSON lines: one object a box, one a frame, or DeepStream's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, real_numbers, whole_number

_TRACKS = ("track", "track_id", "tracker_id", "trackId", "id")
_EXAMPLE = '{"frame": 1, "track": 3, "bbox": [x, y, width, height], "score": 0.9}'


def read_json_lines(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read one JSON object a line.

    - A box: `frame`, `bbox` [x, y, width, height] or `xyxy` [x1, y1, x2, y2]; optional `track` (or `track_id`, `id`),
      `score` or `confidence`, `label`.
    - A frame: `frame` and `objects` (or `detections`), a list of such boxes without `frame`.
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
    return found.add(_boxes(found, lines), first_frame)


def _boxes(found: BoxFile, lines: list[str]) -> Iterator[Box]:
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{found.path}, row {row}"
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); expected lines like {_EXAMPLE}") from None
        if not isinstance(entry, dict):
            raise DataError(f"{where}: expected an object like {_EXAMPLE}, found {line!r}")
        objects = next((entry[name] for name in ("objects", "detections") if name in entry), [entry])
        frame = whole_number(entry.get("frame", None if objects == [entry] else entry.get("id")), where, "frame")
        for item in objects:
            parsed = _deepstream(item, where) if isinstance(item, str) else item
            if isinstance(parsed, Mapping) and found.takes_label(parsed.get("label")):
                yield _box(parsed, frame, row, where)


def _deepstream(text: str, where: str) -> dict[str, Any]:
    parts = text.split("|")
    if len(parts) < 5:
        raise DataError(f"{where}: expected track|x1|y1|x2|y2|label, found {text!r}")
    return {"track": parts[0], "xyxy": parts[1:5], "label": parts[5] if len(parts) > 5 and parts[5] else None}


def _box(item: Mapping[str, Any], frame: int, row: int, where: str) -> Box:
    given = item.get("bbox", item.get("xyxy"))
    if not isinstance(given, list) or len(given) != 4:
        raise DataError(f"{where}: expected bbox [x, y, width, height] or xyxy [x1, y1, x2, y2], found {dict(item)!r}")
    a, b, c, d = real_numbers(given, where)
    width, height = (c, d) if "bbox" in item else (c - a, d - b)
    names = [name for name in _TRACKS if item.get(name) is not None]
    track = whole_number(item[names[0]], where, "track") if names else -1
    score = item.get("score", item.get("confidence"))
    confidence = None if score is None else real_numbers([score], where)[0]
    return Box(frame, track, a, b, width, height, confidence, row)

"""Reading a file of boxes in whichever format it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias

from passerby.errors import DataError, unknown_name
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile
from passerby.tracking.boxes.coco import read_coco
from passerby.tracking.boxes.csv_table import has_csv_header, read_csv
from passerby.tracking.boxes.cvat import read_cvat
from passerby.tracking.boxes.json_lines import read_json_lines
from passerby.tracking.boxes.kitti import read_kitti
from passerby.tracking.boxes.mot import read_mot_file
from passerby.tracking.boxes.yolo import read_yolo

PEDESTRIANS = (1, 2, 7)
"""MOT16's classes that are people: pedestrian, person on vehicle, static person; 3 is a car, 8 a distractor."""


Size: TypeAlias = "tuple[int, int] | Callable[[], tuple[int, int]]"
"""(width, height) of a film's picture in pixels, or what finds it out; it is needed for boxes that are shares of it."""
_SHARE = 1.5  # boxes that reach no farther than this are shares of the picture, and not pixels
_LARGEST = 2**63 - 1


class BoxReader(Protocol):
    """Reads one format."""

    def __call__(self, path: Path, first_frame: int | None = None) -> BoxFile:
        """Boxes of a film; `first_frame` is the number that the file gives the film's first frame."""
        ...


BOX_FORMATS: dict[str, BoxReader] = {
    "mot": read_mot_file,
    "csv": read_csv,
    "coco": read_coco,
    "cvat": read_cvat,
    "kitti": read_kitti,
    "jsonl": read_json_lines,
    "yolo": read_yolo,
}
"""Formats by name; "yolo" is a folder, the others are files."""


def read_boxes(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    first_frame: int | None = None,
    size: Size | None = None,
    min_confidence: float | None = None,
    classes: Sequence[int] = PEDESTRIANS,
) -> BoxFile:
    """Read the boxes of one film.

    Args:
        path: a file, or a folder of YOLO labels.
        format: a name of `BOX_FORMATS`; None: recognised by the extension and the first line.
        first_frame: number that the file gives the film's first frame; None: what the format says (MOT 1, CVAT and
            KITTI 0), else 0 where a box is in frame 0 and 1 otherwise.
        size: (width, height) of the film's picture, or a function that finds it, for boxes that are shares of it.
        min_confidence: leave out less certain boxes; those without a confidence stay.
        classes: classes of a MOT ground truth that are taken.

    Returns:
        People's boxes with a size above 0; everything else is counted by reason.

    Raises:
        DataError: missing, of no known format, wrong, or without a single box.
    """
    found = read_entries(path, format=format, first_frame=first_frame, size=size)
    found.boxes = [box for box in found.boxes if _is_taken(box, found, min_confidence, classes)]
    _refuse_two_boxes(found)
    if not found.boxes:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in found.skipped.items())
        raise DataError(f"{found.path}: no box came out, every one was skipped: {reasons}")
    return found


def read_entries(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    first_frame: int | None = None,
    size: Size | None = None,
) -> BoxFile:
    """As `read_boxes`, but with boxes that are marked as not to be counted, of other MOT classes, or without a size.

    Raises:
        DataError: missing, of no known format, or wrong.
    """
    file = Path(path).expanduser()
    name = format or guess_format(file)
    if name not in BOX_FORMATS:
        raise DataError(unknown_name("format of boxes", name, BOX_FORMATS))
    found = BOX_FORMATS[name](file, first_frame)
    if found.boxes and max(max(box.x + box.width, box.y + box.height) for box in found.boxes) <= _SHARE:
        _from_shares(found, size)
    _renumber_long_tracks(found)
    _tell_of_zero_scores(found)
    return found


def _from_shares(found: BoxFile, size: Size | None) -> None:
    """Boxes that are shares of the picture, in pixels."""
    if size is None:
        raise DataError(f"{found.path}: its boxes are shares of the picture; say its size, size=(width, height)")
    width, height = size() if callable(size) else size
    found.boxes = [
        replace(b, x=b.x * width, y=b.y * height, width=b.width * width, height=b.height * height) for b in found.boxes
    ]
    if found.format != "yolo":
        found.notes.append(f"boxes are shares of the picture of {width} x {height} pixels")


def _renumber_long_tracks(found: BoxFile) -> None:
    """Numbers that do not fit 64 bits with a sign; 2^64 - 1 is DeepStream's mark of an object without a track."""
    if all(box.track <= _LARGEST for box in found.boxes):
        return
    found.boxes = [replace(box, track=-1) if box.track == 2**64 - 1 else box for box in found.boxes]
    numbers = {track: n for n, track in enumerate(sorted({box.track for box in found.boxes if box.track >= 0}), 1)}
    if any(track > _LARGEST for track in numbers):
        found.notes.append(f"tracks are renumbered from 1 to {len(numbers):,}, as some do not fit 64 bits")
        found.boxes = [replace(box, track=numbers.get(box.track, -1)) for box in found.boxes]


def _tell_of_zero_scores(found: BoxFile) -> None:
    """Confidences of 0 and 1 alone may be a ground truth's marks, which nothing in the file says."""
    zeros = sum(box.confidence == 0 for box in found.boxes)
    if zeros and {box.confidence for box in found.boxes} == {0, 1}:
        found.notes.append(
            f"confidences are 0 ({zeros:,} of {len(found.boxes):,}) or 1; where 0 marks what is not to be counted, "
            "call the column flag in the first line"
        )


def guess_format(file: Path) -> str:
    """Name of a file's format by its extension and first line.

    Raises:
        DataError: it cannot be read.
    """
    if file.is_dir():
        return "yolo"
    by_extension = {".xml": "cvat", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if file.suffix.lower() in by_extension:
        return by_extension[file.suffix.lower()]
    try:
        with file.open(encoding="utf-8-sig") as opened:
            first = next((line for line in opened if line.strip()), "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    fields = first.split()
    if len(fields) >= 10 and fields[0].isdigit() and fields[2].replace("_", "").isalpha():
        return "kitti"
    if first.startswith("<"):
        return "cvat"
    if file.suffix.lower() == ".json" or first.startswith(("{", "[")):
        return "jsonl" if _is_an_object(first) else "coco"
    named = file.suffix.lower() == ".csv" and any(letter.isalpha() for letter in first)
    return "csv" if named or has_csv_header(first) else "mot"


def _is_an_object(line: str) -> bool:
    """Whether a line is a whole JSON object of boxes, and not the beginning of a larger file."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    lists = {"images", "annotations", "frames"}
    return isinstance(content, dict) and bool(content) and not lists & content.keys()


def _is_taken(box: Box, found: BoxFile, min_confidence: float | None, classes: Sequence[int]) -> bool:
    if box.ignored:
        found.skip("marked as not to be counted")
    elif box.category is not None and box.category not in classes:
        found.skip(f"class {box.category} of the ground truth, not one of {', '.join(map(str, classes))}")
    elif box.width <= 0 or box.height <= 0:
        found.skip("without a size")
    elif min_confidence is not None and box.confidence is not None and box.confidence < min_confidence:
        found.skip(f"confidence below {min_confidence:g}")
    else:
        return True
    return False


def _refuse_two_boxes(found: BoxFile) -> None:
    """A track is in one place at a time."""
    seen: dict[tuple[int, int], Box] = {}
    for box in found.boxes:
        if box.track >= 0:
            other = seen.setdefault((box.frame, box.track), box)
            if other is not box:
                raise DataError(
                    f"{found.path}, entries {other.row} and {box.row}: track {box.track} has two boxes in frame "
                    f"{box.frame}"
                )

"""Reading a file of boxes in whichever format it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from passerby.errors import DataError, unknown_name
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile
from passerby.tracking.boxes.coco import read_coco
from passerby.tracking.boxes.csv_table import read_csv
from passerby.tracking.boxes.cvat import read_cvat
from passerby.tracking.boxes.json_lines import read_json_lines
from passerby.tracking.boxes.kitti import read_kitti
from passerby.tracking.boxes.mot import read_mot
from passerby.tracking.boxes.yolo import read_yolo

PEDESTRIANS = (1, 2, 7)
"""MOT16's classes that are people: pedestrian, person on vehicle, static person; 3 is a car, 8 a distractor."""


class BoxReader(Protocol):
    """Reads one format."""

    def __call__(self, path: Path, first_frame: int | None = None) -> BoxFile:
        """Boxes of a film; `first_frame` is the number that the file gives the film's first frame."""
        ...


def _mot(path: Path, first_frame: int | None = None) -> BoxFile:
    return BoxFile(path, "mot", read_mot(path, first_frame=1 if first_frame is None else first_frame))


BOX_FORMATS: dict[str, BoxReader] = {
    "mot": _mot,
    "csv": read_csv,
    "coco": read_coco,
    "cvat": read_cvat,
    "kitti": read_kitti,
    "jsonl": read_json_lines,
}
"""Formats of a file; "yolo" is a folder and needs the picture's size besides."""


def read_boxes(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    first_frame: int | None = None,
    size: tuple[int, int] | None = None,
    min_confidence: float | None = None,
    classes: Sequence[int] = PEDESTRIANS,
) -> BoxFile:
    """Read the boxes of one film.

    Args:
        path: a file, or a folder of YOLO labels.
        format: a name of `BOX_FORMATS` or "yolo"; None: recognised by the extension and the first line.
        first_frame: number that the file gives the film's first frame; None: what the format says (MOT 1, CVAT and
            KITTI 0), else 0 where a box is in frame 0 and 1 otherwise.
        size: (width, height) of the film's picture, for YOLO.
        min_confidence: leave out less certain boxes; those without a confidence stay.
        classes: classes of a MOT ground truth that are taken.

    Returns:
        People's boxes with a size above 0; everything else is counted by reason.

    Raises:
        DataError: missing, of no known format, wrong, or without a single box.
    """
    file = Path(path).expanduser()
    name = format or _guess(file)
    if name == "yolo":
        found = read_yolo(file, first_frame, size=size)
    elif name in BOX_FORMATS:
        found = BOX_FORMATS[name](file, first_frame)
    else:
        raise DataError(unknown_name("format of boxes", name, [*BOX_FORMATS, "yolo"]))
    found.boxes = [box for box in found.boxes if _is_taken(box, found, min_confidence, classes)]
    _refuse_two_boxes(found)
    if not found.boxes:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in found.skipped.items())
        raise DataError(f"{file}: no box came out, every one was skipped: {reasons}")
    return found


def _guess(file: Path) -> str:
    if file.is_dir():
        return "yolo"
    by_extension = {".xml": "cvat", ".json": "coco", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if file.suffix.lower() in by_extension:
        return by_extension[file.suffix.lower()]
    try:
        first = next((line for line in file.read_text("utf-8-sig").splitlines() if line.strip()), "")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    fields = first.split()
    if len(fields) >= 10 and fields[0].isdigit() and fields[2].replace("_", "").isalpha():
        return "kitti"
    if first.lstrip().startswith("{"):
        return "jsonl"
    return "csv" if file.suffix.lower() == ".csv" and any(letter.isalpha() for letter in first) else "mot"


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

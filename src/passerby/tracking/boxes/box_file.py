"""What a reader found in a file of boxes: people's boxes, and what was left out by reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box

PERSON_LABELS = frozenset({"person", "persons", "pedestrian", "pedestrians", "people", "human", "personsitting"})
"""Names of classes that are people, without case, blanks, hyphens and underscores."""

MARKS = frozenset({"iscrowd", "crowd", "ignore", "isignored", "ignored"})
"""Names of marks of what is not to be counted, as `plain` writes them."""
FLAGS = frozenset({"flag", "considered", "notignored", "active"})
"""Names of marks of what is to be counted."""
_NO = frozenset({"0", "0.0", "false", "no"})
_NOT_SAID = frozenset({"", "none", "null", "nan"})
_YES = frozenset({"1", "1.0", "true", "yes"})
_LONGEST = 200


@dataclass
class BoxFile:
    """Boxes of one film.

    Attributes:
        path: the file or folder.
        format: name of the format.
        boxes: frames count from 1.
        skipped: entries that gave no box, by reason.
        notes: what else should be known, for example from which number the frames seem to count.
    """

    path: Path
    format: str
    boxes: list[Box] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count entries that are left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def takes_label(self, label: str | None) -> bool:
        """Whether a class name is one of people (or none is given); others are counted."""
        if label is None or plain(label) in PERSON_LABELS:
            return True
        self.skip(f"labelled {label!r}, not a person")
        return False

    def add(self, boxes: Iterable[Box], first_frame: int | None) -> BoxFile:
        """Take boxes whose frames still count as in the file.

        Args:
            boxes: as in the file.
            first_frame: number that the file gives the film's first frame; None: 0 if a box is in frame 0, else 1.

        Raises:
            DataError: nothing is left, or a frame comes before the first.
        """
        found = list(boxes)
        if not found:
            reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
            raise DataError(
                f"{self.path}: no box of a person in this {self.format} file{': ' if reasons else ''}{reasons}"
            )
        lowest = min(found, key=lambda box: box.frame)
        first = min(lowest.frame, 1) if first_frame is None else first_frame
        if lowest.frame < max(first, 0):
            raise DataError(
                f"{self.path}, entry {lowest.row}: frame {lowest.frame}; frames are numbers from {max(first, 0)} on. "
                f"Where a file counts from {lowest.frame}, say so with first_frame={lowest.frame}"
            )
        if first_frame is None:
            self.notes.append(f"frames look counted from {first} (first_frame says it for certain)")
        self.boxes = found if first == 1 else [replace(box, frame=box.frame - first + 1) for box in found]
        return self


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A name without case and without anything but letters and digits: "Track ID" is "trackid"."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def person_number(labels: Iterable[object]) -> str:
    """Number of the class person among numbered classes: 0 where there is a 0 (COCO's 80 classes), else 1."""
    return "0" if "0" in {label_text(label) for label in labels} else "1"


def label_text(label: object) -> str:
    """A class as text; numbers that went through a floating-point column are whole ones again ("0.0" is "0")."""
    return re.sub(r"^(\d+)\.0*$", r"\1", str(label).strip())


def is_not_counted(entry: Mapping[str, Any]) -> bool:
    """Whether an annotation is marked as a crowd, as to be ignored, or as not considered, in any usual writing."""
    for name, value in entry.items():
        what = plain(name)
        if what in MARKS and _said(value) not in _NO | _NOT_SAID:
            return True
        if what in FLAGS and _said(value) in _NO:
            return True
    return False


def is_flag(value: object) -> bool:
    """Whether a value says yes, no or nothing."""
    return _said(value) in _YES | _NO | _NOT_SAID


def _said(value: object) -> str:
    return str(value).strip().lower()


def brief(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def frame_of_name(name: str, where: str) -> int:
    """The last number in the name of a frame's file.

    Raises:
        DataError: none.
    """
    digits = re.findall(r"\d+", PurePath(name).stem)
    if not digits:
        raise DataError(f"{where}: no number in the name {name!r} that says which frame it is")
    return int(digits[-1])


def whole_number(text: object, where: str, what: str) -> int:
    """A number of a track or frame with all its digits (they may have 64 bits).

    Raises:
        DataError: no whole number.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    try:
        return int(str(text).strip())
    except ValueError:
        pass
    try:
        value = float(str(text))
        if value.is_integer():
            return int(value)
    except ValueError:
        pass
    raise DataError(f"{where}: {what} {brief(text)}; expected a whole number")


def real_numbers(values: Iterable[object], where: str) -> list[float]:
    """Finite numbers.

    Raises:
        DataError: something else.
    """
    given = list(values)
    try:
        numbers = [float(str(value)) for value in given]
    except ValueError:
        numbers = [float("nan")]
    if not all(abs(number) < float("inf") for number in numbers):
        raise DataError(f"{where}: {brief(given)}; expected finite numbers")
    return numbers

"""A folder of image files as a film: which frame each of them is, and what was left out."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from pathlib import Path

from passerby.data.readers.tree import entries, is_image_name, not_read, not_read_by_extension
from passerby.errors import DataError

_SEQUENCE = "seqinfo.ini"  # of the MOT challenge
_LARGEST = 10**9  # larger numbers are time stamps: a film of 25 frames per second takes more than a year to get there
_DAY = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d[-_.:m]?[0-5]\d(?:[-_.,]?\d{1,6})?"
_CLOCK_IN_PARTS = r"(?:[01]\d|2[0-3])[-_.:h][0-5]\d[-_.:m][0-5]\d(?:[-_.,]?\d{1,6})?"
_DECIMAL = r"\d+[.,]\d+"
_STAMP = re.compile(rf"(?:{_DAY}(?:[-_.T ]*{_CLOCK})?|{_CLOCK_IN_PARTS}|{_DECIMAL})(?:Z|s|ms|sec)?")
# six or nine digits alone are a time of day from ten o'clock on; earlier hours look like frames with zeros in front
_DIGITS_OF_A_CLOCK = re.compile(r"(?:1\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3})?")


@dataclass(frozen=True)
class FrameFolder:
    """Frames in a folder.

    Attributes:
        files: by frame number from 1, ascending.
        rate: frames per second, where the folder says so.
        notes: what was left out, and how frames are numbered where their names do not number them from 1.
    """

    files: Mapping[int, Path]
    rate: float | None
    notes: tuple[str, ...]

    @property
    def step(self) -> int:
        """From one frame to the next, where all are so many apart or a multiple of it; else 1."""
        return gcd(*(after - before for before, after in pairwise(self.files))) or 1


def open_folder(folder: Path) -> FrameFolder:
    """The image files of a folder, or of its img1 (as in the MOT challenge).

    The last number in a file's name is that of its frame. Numbers count from 1; where there is a frame 0 they count
    from 0, and it is frame 1. Names without any number, with several that do not count the frames, or with time stamps
    are numbered by their order.

    Raises:
        DataError: no images, two of one frame, or a seqinfo.ini that cannot be read.
    """
    place = folder / "img1" if (folder / "img1").is_dir() else folder
    names = [name for name in entries(place) if not (place / name).is_dir()]
    images = [name for name in names if is_image_name(name)]
    others = [name for name in names if not is_image_name(name) and name != _SEQUENCE]
    notes = [not_read_by_extension(others)] if others else []
    if not images:
        raise DataError("; ".join([f"{place}: expected frames (image files), found none", *notes]))
    numbered = sorted((name for name in images if _numbers(name)), key=lambda name: (_numbers(name), name))
    if numbered and len(numbered) < len(images):
        without = [name for name in images if not _numbers(name)]
        notes.append(not_read("image(s) without the number of a frame in their names", without))
    files = _by_frame(place, numbered, notes) if numbered else _by_order(images, "without numbers", notes)
    return FrameFolder({n: place / name for n, name in files.items()}, _rate(folder), tuple(notes))


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", Path(name).stem)]


def _by_frame(place: Path, names: Sequence[str], notes: list[str]) -> dict[int, str]:
    """Names, sorted by their numbers, by the last of these."""
    for one, other in pairwise(names):
        if _numbers(one) == _numbers(other):
            raise DataError(
                f"{place}: {one} and {other} are both frame {_numbers(one)[-1]}; expected one image of each frame"
            )
    numbers = [_numbers(name)[-1] for name in names]
    if all(_is_stamp(name) for name in names):
        return _by_order(sorted(names, key=_parts_of_stamp), "with time stamps", notes)
    if any(after <= before for before, after in pairwise(numbers)):
        return _by_order(names, "with several numbers, of which the last does not count the frames", notes)
    if numbers[-1] > _LARGEST:
        return _by_order(names, "with time stamps", notes)
    if numbers[0] == 0:
        notes.append(f"frames count from 0 in their names: {names[0]} is frame 1")
    first = min(numbers[0], 1)
    return {number - first + 1: name for number, name in zip(numbers, names, strict=True)}


def _is_stamp(name: str) -> bool:
    """Whether a name is a time of day, or ends in a day, a time of day or a decimal number behind a separator."""
    stem = Path(name).stem
    if _DIGITS_OF_A_CLOCK.fullmatch(stem):
        return True
    starts = (match.start() for match in re.finditer(r"(?<![\d.,])\d", stem))
    return any((start == 0 or stem[start - 1] in "-_ (T") and _STAMP.fullmatch(stem, start) for start in starts)


def _parts_of_stamp(name: str) -> list[float]:
    """Numbers of a name, with their decimals: 0.1 comes behind 0.04."""
    return [float(part) for part in re.findall(r"\d+(?:\.\d+)?", Path(name).stem)]


def _by_order(names: Sequence[str], why: str, notes: list[str]) -> dict[int, str]:
    notes.append(f"frames are numbered from 1 in the order of their names, which are {why} ({names[0]}, ...)")
    return dict(enumerate(names, start=1))


def _rate(folder: Path) -> float | None:
    """`frameRate` of the MOT challenge's file about a sequence, where there is one."""
    parser = configparser.ConfigParser()
    for place in (folder, folder.parent):
        try:
            if parser.read(place / _SEQUENCE):
                return parser.getfloat("Sequence", "frameRate", fallback=None)
        except (configparser.Error, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{place / _SEQUENCE}: expected [Sequence] with frameRate = NUMBER, found {reason}"
            ) from error
    return None

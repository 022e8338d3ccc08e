"""What the columns behind a box of a MOT file without a header mean, decided by the file as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from passerby.errors import DataError

Row: TypeAlias = tuple[int, Sequence[float]]
"""Number of a row, and its columns behind x,y,w,h."""
_VISDRONE = (1, 2)  # pedestrian, people; 0 is a region to be ignored
_LAST_VISDRONE = 11
_LAST_CLASS = 90  # of COCO's numbering; larger numbers are something else, such as a place in the picture
_REMEDY = "mend it, or name the columns in the first line: frame,id,x,y,w,h,flag,class or ...,conf,class"


@dataclass(frozen=True)
class MotColumns:
    """How the columns behind a box are read.

    Attributes:
        flag: the seventh is 0 for a box that is not to be counted, and no confidence.
        classes: the eighth is a class.
        people: the classes that are people; None: MOT's numbering, of which the caller chooses.
        note: what was decided, where the file does not make it plain.
    """

    flag: bool = False
    classes: bool = False
    people: tuple[int, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class _Layout:
    """A layout that most rows show.

    Attributes:
        name: for messages.
        columns: what it means.
        fits: whether a row has it.
        readable: whether another row can be read as if it had.
        holds: whether rows that fit are such a file's.
    """

    name: str
    columns: MotColumns
    fits: Callable[[Sequence[float]], bool]
    readable: Callable[[Sequence[float]], bool]
    holds: Callable[[Sequence[Sequence[float]]], bool] = lambda fitting: True


def find_columns(file: Path, rows: Sequence[Row]) -> MotColumns:
    """What the columns mean: what they mean in most rows.

    Raises:
        DataError: a row that cannot be read as most others, or a file that can be read in two ways.
    """
    for layout in _LAYOUTS:
        fitting = [columns for _, columns in rows if layout.fits(columns)]
        if len(fitting) * 2 > len(rows) and layout.holds(fitting):
            return _with_odd_rows(file, rows, layout)
    return _of_results(file, rows)


def _with_odd_rows(file: Path, rows: Sequence[Row], layout: _Layout) -> MotColumns:
    odd = [row for row in rows if not layout.fits(row[1])]
    if not odd:
        return layout.columns
    for number, columns in odd:
        if not layout.readable(columns):
            raise DataError(
                f"{file}, row {number}: {_text(columns)} behind the box, where most rows have {layout.name}; {_REMEDY}"
            )
    number, columns = odd[0]
    note = (
        f"{len(odd):,} of {len(rows):,} rows are not quite {layout.name} (row {number}: {_text(columns)}); read as the "
        "others"
    )
    return MotColumns(layout.columns.flag, layout.columns.classes, layout.columns.people, note)


def _of_results(file: Path, rows: Sequence[Row]) -> MotColumns:
    """A tracker's or detector's file, or a ground truth that no row makes plain."""
    shaped = [columns for _, columns in rows if _has_class(columns)]
    given = [int(columns[1]) for columns in shaped if columns[1] >= 0]
    odd = [row for row in rows if not _has_class(row[1])]
    if len(given) * 2 <= len(rows) or any(len(columns) == 2 for _, columns in odd):
        return MotColumns(note=_note_on_unread(rows))
    if odd:
        number, columns = odd[0]
        raise DataError(
            f"{file}, row {number}: {_text(columns)} behind the box, where most rows have a class in column 8; "
            f"{_REMEDY}"
        )
    if _is_flagged(shaped):
        return _truth_without_visibility(file, shaped)
    people: tuple[int, ...] = (0,) if 0 in given else (1,)
    if 0 not in given and max(given) <= _LAST_VISDRONE and all(len(columns) == 4 for columns in shaped):
        people = _VISDRONE
    elif set(given).isdisjoint(people) and len(set(given)) == 1:  # a class that somebody else numbered, or no class
        return MotColumns(note=f"column 8 is {given[0]} in all rows, which are taken for people")
    said = " and ".join(map(str, people))
    return MotColumns(classes=True, people=people, note=f"column 8 is read as the class, in which people are {said}")


def _truth_without_visibility(file: Path, rows: Sequence[Sequence[float]]) -> MotColumns:
    counted = [columns[1] for columns in rows if columns[0] == 1]
    if counted.count(0) * 2 > len(counted):
        raise DataError(
            f"{file}: column 7 is 0 or 1, a ground truth's flag or a confidence, and column 8 has the class 0, which a "
            "ground truth does not; name the columns in the first line: frame,id,x,y,w,h,flag,class or ...,conf,class"
        )
    return MotColumns(
        flag=True,
        classes=True,
        note="columns 7 and 8 are read as a ground truth's flag and class, as column 7 is 0 or 1 in all rows",
    )


def _is_flagged(rows: Sequence[Sequence[float]]) -> bool:
    """Whether the seventh column is a flag: 0 and 1 and nothing else; or all 1, with rows of a ground truth."""
    values = {columns[0] for columns in rows}
    return values == {0, 1} or (values == {1} and any(map(_is_truth, rows)))


def _note_on_unread(rows: Sequence[Row]) -> str:
    """Which columns are left out, where they are neither fillers nor a place in the world (three columns)."""
    unread = [(n, columns) for n, columns in rows if len(columns) != 4 and any(value != -1 for value in columns[1:])]
    unread += [(n, columns) for n, columns in rows if len(columns) == 4 and _has_class(columns) and columns[1] >= 0]
    if not unread:
        return ""
    number, columns = unread[0]
    return f"columns behind the 7th are not read: no class in all rows (row {number}: {_text(columns)})"


def _text(columns: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in columns) or "nothing"


def _has_flag_and_class(columns: Sequence[float]) -> bool:
    return len(columns) >= 2 and columns[0] in (0, 1) and columns[1].is_integer()


def _is_truth(columns: Sequence[float]) -> bool:
    """Flag, class and visibility, perhaps with a filler behind them."""
    if not (len(columns) == 3 or (len(columns) == 4 and columns[3] == -1)):
        return False
    return _has_flag_and_class(columns) and columns[1] >= 1 and 0 <= columns[2] <= 1


def _is_visdrone(columns: Sequence[float]) -> bool:
    """Score 0 or 1, category 0 to 11, truncation 0 or 1, occlusion 0 to 2."""
    if len(columns) != 4 or not _has_flag_and_class(columns):
        return False
    return 0 <= columns[1] <= _LAST_VISDRONE and columns[2] in (0, 1) and columns[3] in (0, 1, 2)


def _has_flag_and_place(columns: Sequence[float]) -> bool:
    """Flag, and a place that is none of the fillers that results have there."""
    return len(columns) == 4 and columns[0] in (0, 1) and list(columns[2:]) != [-1, -1]


def _has_class(columns: Sequence[float]) -> bool:
    """A whole number from -1 (none given) in the eighth column, and no coordinates behind it."""
    if len(columns) not in (2, 3, 4) or not columns[1].is_integer() or not -1 <= columns[1] <= _LAST_CLASS:
        return False
    behind = columns[2:]
    if len(behind) == 2:
        return all(value == -1 for value in behind)
    return all(value == -1 or 0 <= value <= 1 or (value.is_integer() and value > 0) for value in behind)


_LAYOUTS = (
    _Layout(
        "a ground truth's flag (0 or 1), class (from 1) and visibility (0 to 1)",
        MotColumns(flag=True, classes=True),
        _is_truth,
        _has_flag_and_class,
    ),
    _Layout(
        "VisDrone's score (0 or 1), category (0 to 11), truncation and occlusion",
        MotColumns(flag=True, classes=True, people=_VISDRONE),
        _is_visdrone,
        _has_flag_and_class,
        lambda fitting: {columns[1] for columns in fitting} != {0},
    ),
    _Layout(
        "the flag (0 or 1) and the place in the world of a ground truth of 2D MOT 2015",
        MotColumns(flag=True),
        _has_flag_and_place,
        lambda columns: len(columns) >= 1 and columns[0] in (0, 1),
        lambda fitting: {columns[0] for columns in fitting} == {0, 1},
    ),
)

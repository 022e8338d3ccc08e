"""One's own data in one line: a CSV or Parquet manifest, lists of "path label", or a folder with one folder a person.

A manifest has a column `path` and a column `pid`, and optionally `camid`, `split` (train, query, gallery or test),
`time` and `tracklet`. Persons and cameras may be numbers or names; two writings of one (1, 01 and 1.0;
composed letters or not; white space or invisible characters around it) are one. A camera or tracklet of nothing, or -1,
is not known.

That 0 is a distractor and -1 junk is Market-1501's rule. Here it holds in the part `gallery` only, where somebody must
have meant it; without parts, persons that count from 0 are persons.
"""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from passerby.config.protocol_name import ProtocolName
from passerby.data.csv_tables import table_reader
from passerby.data.ignored_files import left_out
from passerby.data.readers.tree import entries, image_names, subfolders
from passerby.data.records import (
    DISTRACTOR_PID,
    JUNK_PID,
    UNKNOWN_CAMERA,
    ReIDDataset,
    Sample,
    query_and_gallery,
)
from passerby.data.test_split import draw_parts
from passerby.errors import DataError, unknown_name
from passerby.images.decode import EXTENSIONS, HEIC_EXTENSIONS
from passerby.plain_names import in_several_writings, is_unknown, plain_key

COLUMNS = ("path", "pid", "camid", "split", "time", "tracklet")
PARTS = ("train", "query", "gallery", "test")
NO_CAMERAS = "no cameras: every gallery image counts, so pictures of one moment are hits too; reported as 'no_cameras'"
ONE_CAMERA = "one camera: every gallery image counts, so pictures of one moment are hits too; reported as 'no_cameras'"
MOST_ROWS = 5_000_000
"""Of a manifest: the largest public set of person pictures has about 4 million. A small file can claim any number."""
_ROWS_AT_ONCE = 10_000
_LONGEST_CELL = 5_000  # bytes
FROM_ZERO = "pid counts from 0: person numbers are larger by one here, because 0 stands for distractors"
OUTSIDE = (
    "images that the manifest names by absolute paths outside {root}: {n:,} (they are read; to refuse them, where a "
    "manifest is somebody else's: outside_root=False, --data.arguments outside_root=false)"
)
ONE_IN_WRITINGS = "{what} in several writings, each taken as one: {examples}"
NOBODY = "images of pid {pid} in the gallery, {what} and so of nobody who is asked for: {n:,}"


@dataclass(frozen=True)
class _Row:
    """One line of a manifest as text; `where` names file and row."""

    where: str
    path: Path
    pid: str
    camid: str = ""
    part: str = ""
    time: str = ""
    tracklet: str = ""


def read_manifest(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: int = 0,
    test_share: float | None = None,
    protocol: ProtocolName | None = None,
    name: str | None = None,
    verify: bool = True,
    outside_root: bool | None = None,
) -> ReIDDataset:
    """Read one's own dataset from a CSV or Parquet file, or a list of "path label" or "path label camera" (.txt).

    Args:
        path: the manifest.
        root: folder that relative paths start from (default: the manifest's folder).
        split: without a column `split`, the identities are split at random, and this chooses how.
        test_share: without a column `split`, the share of identities that become test identities; default: 0.5 of
            200 identities and more, 0 of fewer.
        protocol: default: "market1501" with cameras, "video" if every test image belongs to a tracklet, "no_cameras"
            without cameras.
        name: default: the file's name.
        verify: make sure that every image file exists.
        outside_root: whether paths may leave `root`; a manifest of somebody else could name any file of this machine.
            None: absolute paths may, and a note counts them, while `..` and symbolic links may not.

    Returns:
        The dataset. "test" rows are split into one query for each person and camera, and the gallery.

    Raises:
        DataError: the file is missing or not a table, a column is missing or unknown, or a row is wrong (the message
            names file and row).
    """
    file = Path(path).expanduser()
    base = file.parent if root is None else Path(root).expanduser()
    rows = [_parse_row(where, row, base) for where, row in _TABLES.get(file.suffix.lower(), _csv_rows)(file)]
    if not rows:
        raise DataError(f"{file}: the manifest has no rows")
    _check_twice(rows)
    outside = 0 if outside_root is True else _check_inside(rows, base, absolute=outside_root is None)
    notes = [OUTSIDE.format(n=outside, root=base.resolve())] if outside else []
    if verify:
        _check_files(rows)
    has_split = any(row.part for row in rows)
    return _assemble(name or file.stem, rows, split, test_share, protocol, has_split, notes)


def read_folder(
    root: str | os.PathLike[str],
    *,
    split: int = 0,
    test_share: float | None = None,
    camera: str | None = None,
    protocol: ProtocolName | None = None,
    name: str | None = None,
) -> ReIDDataset:
    """Read one's own dataset from folders: `ROOT/PERSON/*.jpg`, or `ROOT/{train,query,gallery,test}/PERSON/*.jpg`.

    A folder with lists (train.txt, and query.txt and gallery.txt or test.txt, also called list_train.txt or
    train_list.txt) is read by them: each line is "path label" or "path label camera", paths start from the folder.

    Args:
        root: the folder.
        split: without part folders, the identities are split at random, and this chooses how.
        test_share: without part folders, the share of identities that become test identities; default: as for
            `read_manifest`.
        camera: a regular expression with one group that finds the camera in a file name, for example `_c([0-9]+)`;
            "folder": the folders in those of persons are cameras, `ROOT/PERSON/CAMERA/*.jpg`. Default: "folder" where
            every person's images lie in folders called like cameras (c1, cam2, camera_03), else no cameras.
        protocol: as for `read_manifest`.
        name: default: the folder's name.

    Raises:
        DataError: the folder is missing or holds no folder with images, or `camera` does not fit a file name.

    What lies there and is not read (other files, deeper folders, persons without an image) is counted in the notes.
    """
    top = Path(root).expanduser()
    lists = lists_of_parts(top)
    if lists:
        rows = [replace(_parse_row(*row, top), part=part) for part, file in lists.items() for row in _list_rows(file)]
        _check_twice(rows)
        _check_inside(rows, top, absolute=False)
        _check_files(rows)
        return _assemble(name or top.resolve().name, rows, split, test_share, protocol, True, from_zero=True)
    folders = subfolders(top)
    parts = [part for part in PARTS if part in folders]
    if parts and not set(folders) <= set(PARTS):
        others = ", ".join(sorted(set(folders) - set(PARTS))[:5])
        raise DataError(
            f"{top} holds {', '.join(parts)} and other folders ({others}); expected {', '.join(PARTS)} only"
        )
    bases = [top / part for part in parts] or [top]
    if camera is None and _has_camera_folders(bases):
        camera = CAMERA_FOLDERS
    notes = left_out(top, parts, cameras=camera == CAMERA_FOLDERS)
    if parts:
        rows = [row for part in parts for row in _person_folders(top / part, part, camera)]
    else:
        rows = _person_folders(top, "", camera)
    if not rows:
        loose = len(image_names(top))
        found = f"{loose:,} images directly in it" if loose else f"{', '.join(entries(top)[:8]) or 'nothing'}"
        raise DataError(f"{top}: expected one folder with images for each person, found {'; '.join([found, *notes])}")
    return _assemble(name or top.resolve().name, rows, split, test_share, protocol, bool(parts), notes)


CAMERA_FOLDERS = "folder"
"""The `camera` that takes the folders in those of persons as cameras."""
_WHOLE_NUMBER = re.compile(r"-?\d{1,18}")  # vectors and results hold persons and cameras in 64 bits
_CAMERA_NAME = re.compile(r"c(?:am(?:era)?)?[-_ ]?\d+", re.IGNORECASE)


def _has_camera_folders(tops: Sequence[Path]) -> bool:
    """Whether all images of persons lie in folders called like cameras, and no person is called so."""
    found = False
    for person in (top / name for top in tops for name in subfolders(top)):
        inner = subfolders(person)
        if _CAMERA_NAME.fullmatch(person.name) or image_names(person):
            return False
        if not all(_CAMERA_NAME.fullmatch(name) for name in inner):
            return False
        found = found or bool(inner)
    return found


def _person_folders(top: Path, part: str, camera: str | None) -> list[_Row]:
    if camera == CAMERA_FOLDERS:
        return [
            _Row(str(path), path, person, inner, part)
            for person in subfolders(top)
            for inner in subfolders(top / person)
            for path in (top / person / inner / name for name in image_names(top / person / inner))
        ]
    return [
        _Row(str(path), path, person, _camera_of(path, camera), part)
        for person in subfolders(top)
        for path in (top / person / name for name in image_names(top / person))
    ]


def _camera_of(path: Path, pattern: str | None) -> str:
    if pattern is None:
        return ""
    try:
        match = re.search(pattern, path.name)
    except re.error as error:
        raise DataError(f"camera={pattern!r} is no regular expression ({error})") from None
    if match is None or match.re.groups != 1 or not match[1]:
        raise DataError(
            f"{path}: camera={pattern!r} finds no camera in this name; it needs one group, as in _c([0-9]+)"
        )
    return match[1]


def _csv_rows(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = table_reader(lines)
            _check_columns(file, reader.fieldnames or ())
            return [(f"{file}, row {reader.line_num}", row) for row in reader]
    except FileNotFoundError:
        below = "" if file.is_absolute() else f" below {Path.cwd()}"
        raise DataError(f"{file}: no such file{below}") from None
    except OSError as error:
        raise DataError(f"{file}: the manifest cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a CSV table in UTF-8 ({error})") from None


def _parquet_rows(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[tuple[str, Mapping[str, Any]]] = []
    try:
        with pq.ParquetFile(file) as table:
            _check_columns(file, table.schema_arrow.names)
            if table.metadata.num_rows > MOST_ROWS:
                raise DataError(
                    f"{file}: {table.metadata.num_rows:,} rows are more than the limit of {MOST_ROWS:,}; split it"
                )
            for batch in table.iter_batches(_ROWS_AT_ONCE):
                if max(map(_longest_text, batch.columns)) > _LONGEST_CELL:
                    raise DataError(f"{file}: texts of more than {_LONGEST_CELL:,} bytes; is this a manifest?")
                rows += [(f"{file}, row {i}", row) for i, row in enumerate(batch.to_pylist(), start=len(rows) + 1)]
    except FileNotFoundError:
        raise DataError(f"{file}: no such manifest") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a Parquet file ({error})") from None
    return rows


def _longest_text(column: Any) -> int:
    """Bytes of the longest text of a column, 0 of other columns; a dictionary of one text may stand for millions."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    is_text = any(kind(values.type) for kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))
    return int(pc.max(pc.binary_length(values)).as_py() or 0) if is_text else 0


_ENDINGS = "|".join(re.escape(ending) for ending in (*EXTENSIONS, *HEIC_EXTENSIONS))
_LIST_LINE = re.compile(
    rf"(?P<path>.+?(?:{_ENDINGS}))[\s,]+(?P<pid>[^\s,]+)(?:[\s,]+(?P<camid>[^\s,]+))?", re.IGNORECASE
)


def _list_rows(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Lines of "path label" or "path label camera"; a path may hold spaces, and ends with the ending of an image."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{file}: the list cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not text in UTF-8 ({error})") from None
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LIST_LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f'{file}, line {number}: expected "path label" or "path label camera", found {line!r:.100}')
        rows.append((f"{file}, line {number}", {**match.groupdict(), "time": ""}))
    return rows


_TABLES = {".parquet": _parquet_rows, ".txt": _list_rows}


def lists_of_parts(top: Path) -> dict[str, Path]:
    """The lists of a folder by part; none where training, or what it is tested on, has none."""
    found: dict[str, Path] = {}
    for part in PARTS:
        names = (top / name for name in (f"{part}.txt", f"list_{part}.txt", f"{part}_list.txt"))
        file = next((path for path in names if path.is_file()), None)
        if file is not None:
            found[part] = file
    whole = "train" in found and ({"query", "gallery"} <= set(found) or "test" in found)
    return found if whole else {}


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    for needed in ("path", "pid"):
        if needed not in columns:
            found = ", ".join(columns) or "nothing"
            raise DataError(
                f"{file}: the manifest needs a column {needed!r}; found {found} (known: {', '.join(COLUMNS)})"
            )
    twice = next((column for column in columns if list(columns).count(column) > 1), None)
    if twice is not None:
        raise DataError(f"{file}: the column {twice!r} stands there twice; name each column once")
    for column in columns:
        if column not in COLUMNS:
            raise DataError(f"{file}: {unknown_name('column', str(column), COLUMNS)}")


def _parse_row(where: str, row: Mapping[str, Any], base: Path) -> _Row:
    if None in row:
        raise DataError(f"{where}: the row has more fields than the header")
    text = {key: _text(value) for key, value in row.items()}
    for needed in ("path", "pid"):
        if not text[needed]:
            raise DataError(f"{where}: {needed} is empty")
    part = text.get("split", "").lower()
    if "split" in text and part not in PARTS:
        raise DataError(f"{where}: split is {text['split']!r}; expected one of {', '.join(PARTS)}")
    return _Row(
        where,
        base / Path(text["path"]).expanduser(),
        text["pid"],
        text.get("camid", ""),
        part,
        text.get("time", ""),
        text.get("tracklet", ""),
    )


def _text(value: object) -> str:
    if value is None or value != value:  # Parquet writers turn empty cells into NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # Parquet writers turn columns of integers with holes into floats
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).strip()


def _assemble(
    name: str,
    rows: Sequence[_Row],
    split: int,
    test_share: float | None,
    protocol: str | None,
    has_split: bool,
    left: Sequence[str] = (),
    *,
    from_zero: bool = False,
) -> ReIDDataset:
    notes = list(left)
    rows = _one_writing(rows, notes)
    pid = _numbers([row.pid for row in rows], "pid", first=1, notes=notes)
    if (from_zero or not has_split) and 0 in pid.values():
        notes.append(FROM_ZERO)
        pid = {text: number + 1 if number >= 0 else number for text, number in pid.items()}
    camid = _cameras(rows, notes)
    tracklet = _tracklets(rows)
    samples = [
        Sample(row.path, pid[row.pid], camid[row.camid], _time(row), tracklet[row.pid, row.camid, row.tracklet])
        for row in rows
    ]
    if has_split and split != 0:
        raise DataError(f"{name}: there is no split {split}; the data name their split, so the only one is 0")
    roles = [row.part for row in rows] if has_split else draw_parts(samples, split, test_share, notes)
    _check_ids(rows, samples, roles, has_split)
    _note_nobody(samples, notes)
    parts = {part: tuple(s for s, role in zip(samples, roles, strict=True) if role == part) for part in PARTS}
    default = _protocol((*parts["query"], *parts["gallery"], *parts["test"]) or parts["train"], notes)
    more_query, more_gallery = query_and_gallery(parts["test"], cameras=default != "no_cameras")
    query, gallery = parts["query"] + more_query, parts["gallery"] + more_gallery
    _check_parts(name, query, gallery, has_split, notes)
    _note_overlap(parts["train"], (*query, *gallery), notes)
    called = () if all(_WHOLE_NUMBER.fullmatch(text) for text in camid if text) else tuple(camid)
    return ReIDDataset(name, parts["train"], query, gallery, protocol or default, tuple(notes), called)


def _protocol(test: Sequence[Sample], notes: list[str]) -> str:
    """Of the test images; of all where none are for a test, since held-out people are evaluated by it."""
    cameras = {s.camid for s in test}
    if len(cameras) == 1:
        notes.append(NO_CAMERAS if cameras == {UNKNOWN_CAMERA} else ONE_CAMERA)
        return "no_cameras"
    return "video" if test and all(s.tracklet is not None for s in test) else "market1501"


def _numbers(values: Iterable[str], what: str, *, first: int, notes: list[str]) -> dict[str, int]:
    """Numbers as they are if all are integers of 64 bits, otherwise the names' places in sorted order, from `first`.

    Junk stays -1 among names.
    """
    names = sorted(set(values))
    _note_capitals(names, what, notes)
    if all(_WHOLE_NUMBER.fullmatch(value) for value in names):
        return {value: int(value) for value in names}
    junk = {value: JUNK_PID for value in names if value == str(JUNK_PID)}
    named = [value for value in names if value not in junk]
    notes.append(f"{what} numbered from {first} in the sorted order of {len(named):,} names")
    return {value: i for i, value in enumerate(named, start=first)} | junk


def _one_writing(rows: Sequence[_Row], notes: list[str]) -> list[_Row]:
    """Rows whose persons, cameras and tracklets are written in one way."""
    for what in ("pid", "camid"):
        several = in_several_writings(getattr(row, what) for row in rows)
        if several:
            notes.append(ONE_IN_WRITINGS.format(what=what, examples="; ".join(several[:3])))
    return [
        replace(row, pid=plain_key(row.pid), camid=plain_key(row.camid), tracklet=plain_key(row.tracklet))
        for row in rows
    ]


def _note_capitals(names: Sequence[str], what: str, notes: list[str]) -> None:
    """Words that differ in capital letters only are two, and may be meant as one."""
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            notes.append(f"{what}: {other!r} and {name!r} differ in capital letters only, and are two")


def _cameras(rows: Sequence[_Row], notes: list[str]) -> dict[str, int]:
    named = [row for row in rows if not is_unknown(row.camid)]
    if not named:
        return {row.camid: UNKNOWN_CAMERA for row in rows}
    if len(named) < len(rows):
        first = next(row for row in rows if is_unknown(row.camid))
        found = first.camid or "empty"
        raise DataError(f"{first.where}: camid is {found}, while {named[0].where} has one; name all cameras or none")
    numbers = _numbers([row.camid for row in rows], "camid", first=0, notes=notes)
    negative = next((row for row in rows if numbers[row.camid] < 0), None)
    if negative is not None:
        raise DataError(f"{negative.where}: camid is {negative.camid}; cameras are numbered from 0")
    return numbers


def _tracklets(rows: Sequence[_Row]) -> dict[tuple[str, str, str], int | None]:
    """Tracklet names need be unique within a person and camera only; here every tracklet gets its own number.

    Nothing, or -1, is no tracklet.
    """
    keys = dict.fromkeys((row.pid, row.camid, row.tracklet) for row in rows)
    counter = itertools.count()
    return {key: None if is_unknown(key[2]) else next(counter) for key in keys}


def _time(row: _Row) -> float | None:
    if not row.time:
        return None
    for parse in (float, _clock):
        try:
            return parse(row.time)
        except ValueError:
            continue
    raise DataError(f"{row.where}: time is {row.time!r}; expected seconds or a date and time like 2024-05-01T12:00:00")


def _clock(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _check_ids(rows: Sequence[_Row], samples: Sequence[Sample], parts: Sequence[str], has_split: bool) -> None:
    for row, sample, part in zip(rows, samples, parts, strict=True):
        if sample.pid < JUNK_PID:
            raise DataError(f"{row.where}: pid is {sample.pid}; the only negative id is -1, junk")
        if sample.pid <= 0 and part != "gallery" and has_split:
            raise DataError(
                f"{row.where}: pid is {sample.pid} in {part}; persons are numbered from 1 "
                "(-1 is junk and 0 a distractor, and both belong to the gallery): add 1 to every pid, or write names"
            )


def _note_nobody(samples: Sequence[Sample], notes: list[str]) -> None:
    for pid, what in ((DISTRACTOR_PID, "distractors"), (JUNK_PID, "junk")):
        count = sum(s.pid == pid for s in samples)
        if count:
            notes.append(NOBODY.format(n=count, pid=pid, what=what))


def _check_twice(rows: Sequence[_Row]) -> None:
    first: dict[Path, _Row] = {}
    for row in rows:
        if first.setdefault(row.path, row) is not row:
            raise DataError(f"{row.where}: {row.path} stands in {first[row.path].where} already; name each image once")


def _check_inside(rows: Sequence[_Row], base: Path, *, absolute: bool) -> int:
    """No path leaves the folder that paths start from; how many absolute ones do, where those may."""
    root = os.path.realpath(base)
    folders: dict[Path, bool] = {}
    outside = 0
    for row in rows:
        folder = row.path.parent
        if folder not in folders:
            folders[folder] = os.path.commonpath([root, os.path.realpath(folder)]) == root
        inside = folders[folder]
        if inside and row.path.is_symlink():
            inside = os.path.commonpath([root, os.path.realpath(row.path)]) == root
        if not inside and absolute and not row.path.is_relative_to(base):  # relative ones begin with the root
            outside += 1
        elif not inside:
            raise DataError(
                f"{row.where}: {row.path} lies outside {base}; name the folder that holds all images as the root, or "
                "allow it (outside_root)"
            )
    return outside


def _check_files(rows: Sequence[_Row]) -> None:
    missing = [row for row in rows if not row.path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0].where}: no image file {missing[0].path}"
            + (f" (and {len(missing) - 1:,} more are missing)" if len(missing) > 1 else "")
        )


def _check_parts(
    name: str, query: Sequence[Sample], gallery: Sequence[Sample], has_split: bool, notes: list[str]
) -> None:
    if bool(query) == bool(gallery):
        return
    there, missing = ("query", "gallery") if query else ("gallery", "query")
    words = f"the {missing} is empty, while there are {there} images"
    if has_split:
        raise DataError(f"{name}: {words}; a test needs both, so somebody must have been seen twice")
    notes.append(f"{words}: nobody was seen twice, so these data cannot test")


def _note_overlap(train: Sequence[Sample], test: Sequence[Sample], notes: list[str]) -> None:
    shared = {s.pid for s in train} & {s.pid for s in test}
    if shared:
        notes.append(f"{len(shared):,} persons are in training and in the test: the test flatters the model")

"""From a film and a tracker's boxes to tracklets: crops in folders, and a manifest that `load_dataset` reads."""

from __future__ import annotations

import csv
import importlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby.errors import DataError, MissingExtraError
from passerby.files import replace_folder
from passerby.pixels import UInt8Array
from passerby.progress import progress_bar

MANIFEST = "manifest.csv"
_COLUMNS = ("path", "pid", "camid", "time", "tracklet")
_EXAMPLE = "1,3,794.2,47.5,71.2,174.8,1"
_PEDESTRIANS = (1, 2, 7)  # MOT16's classes: pedestrian, person on vehicle, static person; 3 is a car, 8 a distractor
_NOT_GIVEN = -1.0  # MOT's filler of columns
_HEADINGS = (
    {"frame", "frameid", "framenumber", "framenum", "frameindex", "frameno"},
    {"id", "track", "trackid", "trackerid", "objectid", "targetid", "identity"},
    {"x", "x1", "left", "bbleft", "bboxleft", "bbx"},
    {"y", "y1", "top", "bbtop", "bboxtop", "bby"},
    {"w", "width", "bbwidth", "bboxwidth", "bbw"},
    {"h", "height", "bbheight", "bboxheight", "bbh"},
    {"conf", "confidence", "score", "flag", "active", "considered", "notignored"},
)
_NOTHING: UInt8Array = np.empty((0, 0, 3), dtype=np.uint8)  # for a frame that is not wanted; converting costs time


@dataclass(frozen=True)
class Box:
    """One person's box in one frame, as in the MOT challenge's files.

    Attributes:
        frame: from 1.
        track: the file's own number; negative for a detection that no track took.
        x: left edge, pixels from the left.
        y: upper edge, pixels from the top.
        width: pixels.
        height: pixels.
        confidence: the detector's score, on any scale; None if the file gives none.
        row: line of the file, from 1.
        ignored: a ground truth's flag 0: not to be counted.
        category: a ground truth's class; None in other files.
    """

    frame: int
    track: int
    x: float
    y: float
    width: float
    height: float
    confidence: float | None
    row: int
    ignored: bool = False
    category: int | None = None


@dataclass
class VideoCrops:
    """What `crop_video` wrote; printing it says so.

    Attributes:
        manifest: file that `load_dataset` reads.
        frames: number of the last frame of the film that was decoded.
        tracks: images by track.
        skipped: boxes that gave no image, by reason.
        notes: what else should be known: renumbered persons, broken frames.
    """

    manifest: Path
    frames: int = 0
    tracks: dict[int, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """How many crops were written."""
        return sum(self.tracks.values())

    def __str__(self) -> str:
        lines = [
            f"{self.images:,} images of {len(self.tracks):,} tracklets from {self.frames:,} frames: {self.manifest}"
        ]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"  {count:,} boxes skipped: {reason}" for reason, count in self.skipped.items()]
        return "\n".join(lines)


def crop_video(
    video: str | os.PathLike[str],
    boxes: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    camera: int = 0,
    every: int = 1,
    margin: float = 0.0,
    min_confidence: float | None = None,
    min_height: int = 16,
    first_frame: int = 1,
    classes: Sequence[int] | None = None,
    progress: bool = True,
) -> VideoCrops:
    """Cut a tracker's boxes out of a film.

    Args:
        video: anything that FFmpeg decodes.
        boxes: text file in MOT format, `frame,id,x,y,w,h,conf` a line; see `read_mot`.
        out: new or empty folder for `PERSON/FRAME.jpg` and `manifest.csv`.
        camera: camera number for the manifest; films of several cameras go to several folders.
        every: take each track's first box and from then on those `every` or more frames later.
        margin: share of its width and height that a box grows on each side.
        min_confidence: skip less certain boxes, and those that do not say how certain they are; None skips none.
        min_height: skip boxes of which less than so many rows lie in the picture.
        first_frame: number that the file gives the film's first frame: 1 in MOT, 0 from many programs.
        classes: classes of a ground truth (8th column) whose boxes are taken; default 1, 2 and 7, MOT's pedestrians.
        progress: show a progress bar.

    Returns:
        What was written and what was skipped. In the manifest a track is a person (`pid`) and a tracklet: who is the
        same under several cameras nobody knows yet. Where tracks count from 0, person numbers are larger by one.
        Boxes are cut from the picture as players show it, turned as the film's header says.

    Raises:
        DataError: a file is missing, a line is wrong (the message names it), the film cannot be decoded, `out` holds
            something, no image came out, or an option asks for what the file does not give.
        MissingExtraError: PyAV is not installed.
        StorageError: a file cannot be written.
    """
    av = _pyav()
    if every < 1 or margin < 0 or min_height < 1 or camera < 0 or first_frame < 0:
        raise DataError(
            f"every={every}, margin={margin}, min_height={min_height}, camera={camera}, first_frame={first_frame}: "
            "out of range"
        )
    film, folder = Path(video).expanduser(), Path(out).expanduser()
    if not film.is_file():
        raise DataError(f"{film}: no such film")
    found = read_mot(boxes, first_frame=first_frame)
    _check_options(found, boxes, min_confidence, classes)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder; crops are not mixed with anything")
    crops = VideoCrops(folder / MANIFEST)
    first_person = 1 if any(box.track == 0 for box in found) else 0
    if first_person:
        crops.notes.append("tracks count from 0 and persons from 1: person = track + 1")
    wanted = _by_frame(
        [b for b in found if _is_wanted(b, min_confidence, classes or _PEDESTRIANS, crops)], every, boxes
    )
    _refuse_nothing(bool(wanted), boxes, crops)
    with (
        replace_folder(folder) as place,
        progress_bar(f"cutting {film.name}", max(wanted)) if progress else nullcontext() as bar,
    ):
        rows, broken = [], 0
        for number, seconds, picture in _frames(av, film, wanted):
            if picture is None:
                broken += 1
                continue
            crops.frames = number
            for box in wanted.pop(number, ()):
                person = box.track + first_person
                path = _write_crop(box, person, picture, place, margin, min_height, crops)
                if path is not None:
                    rows.append((path, person, camera, f"{seconds:.3f}", box.track))
            if bar is not None:
                bar.advance()
        for number, left in wanted.items():
            inside = number < crops.frames
            _skip(crops, "in a broken frame" if inside else "after the last frame of the film", len(left))
        if broken:
            crops.notes.append(f"{broken:,} frame(s) of the film are broken and cannot be decoded")
        _refuse_nothing(bool(rows), boxes, crops)
        _write_manifest(place / MANIFEST, rows)
    return crops


def read_mot(path: str | os.PathLike[str], *, first_frame: int = 1) -> list[Box]:
    """Read boxes in MOT format, `frame,id,x,y,w,h[,conf,...]` a line.

    Columns may also be parted by semicolons, blanks or tabs, a line may end with a separator, and the first line may
    name the columns. A `conf` of exactly -1 means "not given". A file of nine columns
    `frame,id,x,y,w,h,flag,class,visibility` (flag 0 or 1, class from 1, visibility 0 to 1) is a ground truth as of
    MOT16, and its seventh column no confidence.

    Args:
        path: the file.
        first_frame: number that the file gives the film's first frame.

    Raises:
        DataError: the file is missing or empty, or a line is wrong (the message names it).
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    table = [(row, line, _fields(line)) for row, line in enumerate(lines, start=1) if line.strip()]
    if table and _is_header(table[0][2]):
        del table[0]
    if not table:
        raise DataError(f"{file}: no boxes; expected lines like {_EXAMPLE}")
    rows = [(row, *_numbers(fields, line, f"{file}, row {row}", first_frame)) for row, line, fields in table]
    truth = all(_is_ground_truth(values) for _, _, _, values in rows)
    return [_box(row, frame - first_frame + 1, track, values, truth) for row, frame, track, values in rows]


def _fields(line: str) -> list[str]:
    separator = next((mark for mark in ",;" if mark in line), None)
    fields = [field.strip() for field in line.strip().split(separator)]
    return fields[:-1] if fields[-1] == "" else fields


def _is_header(fields: Sequence[str]) -> bool:
    """Whether the columns are named, in MOT's order; any other words are an error of the first line."""
    names = [re.sub(r"[^a-z0-9]", "", field.lower()) for field in fields if field != "#"]
    return len(names) >= 6 and all(name in known for name, known in zip(names, _HEADINGS, strict=False))


def _numbers(fields: Sequence[str], line: str, where: str, first_frame: int) -> tuple[int, int, list[float]]:
    """(frame, track, the columns after them); 64-bit tracks keep all their digits."""
    try:
        values = [float(value) for value in fields]
    except ValueError:
        values = []
    if len(values) < 6 or not all(map(math.isfinite, values[:6])):
        raise DataError(f"{where}: {line!r} is not like {_EXAMPLE} (frame,id,x,y,w,h,conf)")
    frame, track = values[:2]
    if frame < first_frame or not frame.is_integer() or not track.is_integer():
        hint = "; where a file counts from 0, --first-frame 0 (first_frame=0) says so" if frame == 0 else ""
        raise DataError(
            f"{where}: frame {frame:g} of track {track:g}; frames are whole numbers from {first_frame}, tracks whole "
            f"numbers{hint}"
        )
    return int(frame), int(fields[1]) if re.fullmatch(r"-?\d+", fields[1]) else int(track), values[2:]


def _is_ground_truth(values: Sequence[float]) -> bool:
    """Whether x,y,w,h are followed by flag,class,visibility; a result of nine columns has a -1 or a fraction there."""
    if len(values) != 7:
        return False
    flag, category, visibility = values[4:]
    return flag in (0, 1) and category >= 1 and category.is_integer() and 0 <= visibility <= 1


def _box(row: int, frame: int, track: int, values: Sequence[float], truth: bool) -> Box:
    x, y, width, height = values[:4]
    if truth:
        return Box(frame, track, x, y, width, height, None, row, ignored=values[4] == 0, category=int(values[5]))
    given = len(values) > 4 and values[4] != _NOT_GIVEN
    return Box(frame, track, x, y, width, height, values[4] if given else None, row)


def _check_options(
    boxes: Sequence[Box], file: str | os.PathLike[str], min_confidence: float | None, classes: Sequence[int] | None
) -> None:
    if min_confidence is not None and all(box.confidence is None for box in boxes):
        raise DataError(
            f"{os.fspath(file)}: min_confidence={min_confidence:g}, but no box has a confidence (7th column absent, "
            "-1, or the flag of a ground truth); leave the option out"
        )
    if classes is not None and all(box.category is None for box in boxes):
        raise DataError(
            f"{os.fspath(file)}: classes={list(classes)}, but the file is no ground truth of nine columns "
            "(frame,id,x,y,w,h,flag,class,visibility), so no box has a class; leave the option out"
        )


def _is_wanted(box: Box, min_confidence: float | None, classes: Sequence[int], crops: VideoCrops) -> bool:
    """Whether a box may give an image; why not is counted."""
    if box.track < 0:  # MOT writes -1 for a detection that no track took
        reason = "without a track"
    elif box.ignored:
        reason = "flag 0 in the ground truth, to be ignored"
    elif box.category is not None and box.category not in classes:
        reason = f"class {box.category} of the ground truth, not one of {', '.join(map(str, classes))} (see classes)"
    elif min_confidence is not None and box.confidence is None:
        reason = "confidence not given"
    elif min_confidence is not None and box.confidence is not None and box.confidence < min_confidence:
        reason = f"confidence below {min_confidence:g}"
    else:
        return True
    _skip(crops, reason)
    return False


def _by_frame(boxes: Sequence[Box], every: int, file: str | os.PathLike[str]) -> dict[int, list[Box]]:
    wanted: dict[int, list[Box]] = {}
    last: dict[int, int] = {}
    for box in sorted(boxes, key=lambda b: (b.frame, b.row)):
        if box.track in last and box.frame == last[box.track]:
            raise DataError(f"{os.fspath(file)}, row {box.row}: track {box.track} has two boxes in frame {box.frame}")
        if box.track not in last or box.frame - last[box.track] >= every:
            last[box.track] = box.frame
            wanted.setdefault(box.frame, []).append(box)
    return wanted


def _refuse_nothing(something: bool, file: str | os.PathLike[str], crops: VideoCrops) -> None:
    if not something:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in crops.skipped.items())
        raise DataError(f"{os.fspath(file)}: no image came out, every box was skipped: {reasons}")


def _frames(av: Any, film: Path, wanted: Mapping[int, Sequence[Box]]) -> Iterator[tuple[int, float, UInt8Array | None]]:
    """(number from 1, seconds, RGB picture) of the frames up to the last that is wanted; no picture of a broken frame.

    Threads that decode several frames at once are fast, but an error in one takes whole frames with it. A film with an
    error is therefore opened again and decoded frame by frame, from the place that was reached.
    """
    last, reached = max(wanted), 0
    for threads in ("AUTO", "SLICE"):
        try:
            with av.open(str(film)) as container:
                if not container.streams.video:
                    raise DataError(f"{film}: no film in this file")
                stream = container.streams.video[0]
                stream.thread_type = threads
                rate = float(stream.average_rate or 25)
                decoded = container.decode(stream) if threads == "AUTO" else _whole_frames(av, container, stream)
                for number, frame in enumerate(decoded, start=1):
                    if number > last:
                        return
                    if number > reached:
                        reached = number
                        seconds = (number - 1) / rate if frame is None or frame.time is None else frame.time
                        yield number, float(seconds), _picture(frame, wanted=number in wanted)
            return
        except av.FFmpegError as error:
            if threads == "SLICE" or not isinstance(error, av.error.InvalidDataError):
                raise DataError(f"{film}: cannot be decoded ({error})") from error


def _whole_frames(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """Frames, None for each that is broken, up to where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            frames = [None]
        yield from frames


def _picture(frame: Any, *, wanted: bool) -> UInt8Array | None:
    """RGB as players show it: phones store frames on their side, and say in the header how to turn them."""
    if frame is None:
        return None
    if not wanted:
        return _NOTHING
    stored: UInt8Array = frame.to_ndarray(format="rgb24")
    return np.rot90(stored, round(frame.rotation / 90))  # the rotation is in degrees, counterclockwise


def _write_crop(
    box: Box, person: int, picture: UInt8Array, folder: Path, margin: float, min_height: int, crops: VideoCrops
) -> str | None:
    rows, columns = picture.shape[:2]
    left = max(round(box.x - margin * box.width), 0)
    right = min(round(box.x + (1 + margin) * box.width), columns)
    top = max(round(box.y - margin * box.height), 0)
    bottom = min(round(box.y + (1 + margin) * box.height), rows)
    if right <= left or bottom - top < min_height:
        _skip(crops, f"less than {min_height} rows of it in the picture")
        return None
    name = f"{person:04d}/{box.frame:06d}.jpg"
    (folder / name).parent.mkdir(exist_ok=True)
    Image.fromarray(picture[top:bottom, left:right]).save(folder / name, quality=95)
    crops.tracks[box.track] = crops.tracks.get(box.track, 0) + 1
    return name


def _skip(crops: VideoCrops, reason: str, count: int = 1) -> None:
    if count:
        crops.skipped[reason] = crops.skipped.get(reason, 0) + count


def _write_manifest(path: Path, rows: Sequence[tuple[str, int, int, str, int]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)


def _pyav() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        raise MissingExtraError("av", "video", "cutting crops out of a film") from None

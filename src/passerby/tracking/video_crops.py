"""From a film and a tracker's boxes to tracklets: crops in folders, and a manifest that `load_dataset` reads."""

from __future__ import annotations

import csv
import importlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby.array_types import UInt8
from passerby.errors import DataError, MissingExtraError
from passerby.files import replace_folder
from passerby.progress import progress_bar

MANIFEST = "manifest.csv"
_COLUMNS = ("path", "pid", "camid", "time", "tracklet")
_NOTHING: UInt8 = np.empty((0, 0, 3), dtype=np.uint8)  # a frame that nobody asks for is not converted


@dataclass(frozen=True)
class Box:
    """One person's box in one frame: pixels from the top left, frames from 1, as in the MOT challenge's files."""

    frame: int
    track: int
    x: float
    y: float
    width: float
    height: float
    confidence: float
    row: int


@dataclass
class VideoCrops:
    """What `crop_video` wrote; printing it says so.

    Attributes:
        manifest: file that `load_dataset` reads.
        frames: frames of the film that were decoded.
        tracks: images by track.
        skipped: boxes that gave no image, by reason.
    """

    manifest: Path
    frames: int = 0
    tracks: dict[int, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many crops were written."""
        return sum(self.tracks.values())

    def __str__(self) -> str:
        lines = [
            f"{self.images:,} images of {len(self.tracks):,} tracklets from {self.frames:,} frames: {self.manifest}"
        ]
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
    min_confidence: float = 0.0,
    min_height: int = 16,
    progress: bool = True,
) -> VideoCrops:
    """Cut a tracker's boxes out of a film.

    Args:
        video: anything that FFmpeg decodes.
        boxes: text file in MOT format, `frame,id,x,y,w,h,conf` a line (further columns are ignored), frames from 1.
        out: new or empty folder for `TRACK/FRAME.jpg` and `manifest.csv`.
        camera: camera number for the manifest; films of several cameras go to several folders.
        every: take each track's first box and from then on those `every` or more frames later.
        margin: share of its width and height that a box grows on each side.
        min_confidence: skip less certain boxes.
        min_height: skip boxes of which less than so many rows lie in the picture.
        progress: show a progress bar.

    Returns:
        What was written and what was skipped. In the manifest a track is a person (`pid`) and a tracklet: who is the
        same under several cameras nobody knows yet.

    Raises:
        DataError: a file is missing, a line is wrong (the message names it), the film cannot be decoded, or `out`
            holds something.
        MissingExtraError: PyAV is not installed.
        StorageError: a file cannot be written.
    """
    av = _pyav()
    if every < 1 or margin < 0 or min_height < 1 or camera < 0:
        raise DataError(f"every={every}, margin={margin}, min_height={min_height}, camera={camera}: out of range")
    film, folder = Path(video).expanduser(), Path(out).expanduser()
    if not film.is_file():
        raise DataError(f"{film}: no such film")
    found = read_mot(boxes)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder; crops are not mixed with anything")
    crops = VideoCrops(folder / MANIFEST)
    wanted = _by_frame(found, every, min_confidence, crops)
    last = max(wanted, default=0)
    with (
        replace_folder(folder) as place,
        progress_bar(f"cutting {film.name}", last) if progress else nullcontext() as bar,
    ):
        rows = []
        for number, seconds, picture in _frames(av, film, wanted):
            crops.frames = number
            for box in wanted.get(number, ()):
                path = _write_crop(box, picture, place, margin, min_height, crops)
                if path is not None:
                    rows.append((path, box.track, camera, f"{seconds:.3f}", box.track))
            if bar is not None:
                bar.advance()
        _skip(crops, "after the last frame of the film", sum(len(b) for f, b in wanted.items() if f > crops.frames))
        _write_manifest(place / MANIFEST, rows)
    return crops


def read_mot(path: str | os.PathLike[str]) -> list[Box]:
    """Read boxes in MOT format, `frame,id,x,y,w,h[,conf,...]` a line.

    Raises:
        DataError: the file is missing or empty, or a line is wrong (the message names it).
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the boxes cannot be read ({error})") from None
    boxes = [_parse(line, f"{file}, row {row}", row) for row, line in enumerate(lines, start=1) if line.strip()]
    if not boxes:
        raise DataError(f"{file}: no boxes; expected lines like 1,3,794.2,47.5,71.2,174.8,1")
    return boxes


def _parse(line: str, where: str, row: int) -> Box:
    try:
        values = [float(value) for value in line.split(",")]
    except ValueError:
        values = []
    if len(values) < 6 or not all(map(math.isfinite, values[:6])):
        raise DataError(f"{where}: {line!r} is not like 1,3,794.2,47.5,71.2,174.8,1 (frame,id,x,y,w,h,conf)")
    frame, track, x, y, width, height = values[:6]
    if frame < 1 or not frame.is_integer() or not track.is_integer():
        raise DataError(
            f"{where}: frame {frame:g} of track {track:g}; frames are whole numbers from 1, tracks whole numbers"
        )
    return Box(int(frame), int(track), x, y, width, height, values[6] if len(values) > 6 else 1.0, row)


def _by_frame(boxes: Sequence[Box], every: int, min_confidence: float, crops: VideoCrops) -> dict[int, list[Box]]:
    wanted: dict[int, list[Box]] = {}
    last: dict[int, int] = {}
    for box in sorted(boxes, key=lambda b: (b.frame, b.row)):
        if box.track < 1:  # MOT writes -1 for a detection that no track took; persons are numbered from 1
            _skip(crops, "without a track")
        elif box.confidence < min_confidence:
            _skip(crops, f"confidence below {min_confidence:g}")
        elif box.track in last and box.frame == last[box.track]:
            raise DataError(f"row {box.row}: track {box.track} has two boxes in frame {box.frame}")
        elif box.track not in last or box.frame - last[box.track] >= every:
            last[box.track] = box.frame
            wanted.setdefault(box.frame, []).append(box)
    return wanted


def _frames(av: Any, film: Path, wanted: Mapping[int, Sequence[Box]]) -> Iterator[tuple[int, float, UInt8]]:
    """(number from 1, seconds, RGB picture) of the frames up to the last that is wanted."""
    last = max(wanted, default=0)
    try:
        with av.open(str(film)) as container:
            if not container.streams.video:
                raise DataError(f"{film}: no film in this file")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for number, frame in enumerate(container.decode(stream), start=1):
                if number > last:
                    return
                seconds = frame.time if frame.time is not None else (number - 1) / rate
                yield number, float(seconds), frame.to_ndarray(format="rgb24") if number in wanted else _NOTHING
    except av.FFmpegError as error:
        raise DataError(f"{film}: cannot be decoded ({error})") from error


def _write_crop(
    box: Box, picture: UInt8, folder: Path, margin: float, min_height: int, crops: VideoCrops
) -> str | None:
    rows, columns = picture.shape[:2]
    left = max(round(box.x - margin * box.width), 0)
    right = min(round(box.x + (1 + margin) * box.width), columns)
    top = max(round(box.y - margin * box.height), 0)
    bottom = min(round(box.y + (1 + margin) * box.height), rows)
    if right <= left or bottom - top < min_height:
        _skip(crops, f"less than {min_height} rows of it in the picture")
        return None
    name = f"{box.track:04d}/{box.frame:06d}.jpg"
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

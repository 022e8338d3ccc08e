"""From a film and a tracker's boxes to tracklets: crops in folders, and a manifest that `load_dataset` reads."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from passerby.array_types import UInt8
from passerby.errors import DataError
from passerby.files import replace_folder
from passerby.images.decode import GREY_BITS
from passerby.progress import progress_bar
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.mot import read_mot
from passerby.tracking.boxes.reading import read_entries
from passerby.tracking.films import film_info, picture_size, read_frames

__all__ = ["MANIFEST", "Box", "VideoCrops", "crop_video", "read_mot"]

MANIFEST = "manifest.csv"
_COLUMNS = ("path", "pid", "camid", "time", "tracklet")
_PEDESTRIANS = (1, 2, 7)  # MOT16's classes: pedestrian, person on vehicle, static person; 3 is a car, 8 a distractor


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
    first_frame: int | None = None,
    classes: Sequence[int] | None = None,
    bits: int = GREY_BITS,
    progress: bool = True,
) -> VideoCrops:
    """Cut a tracker's boxes out of a film.

    Args:
        video: anything that FFmpeg decodes, or a folder of frames.
        boxes: of the film, with tracks, in any format of `read_boxes` (MOT, CSV, YOLO, COCO, CVAT, KITTI, JSON lines).
        out: new or empty folder for `PERSON/FRAME.jpg` and `manifest.csv`.
        camera: camera number for the manifest; films of several cameras go to several folders.
        every: take each track's first box and from then on those `every` or more frames later.
        margin: share of its width and height that a box grows on each side.
        min_confidence: skip less certain boxes, and those that do not say how certain they are; None skips none.
        min_height: skip boxes of which less than so many rows lie in the picture.
        first_frame: number that the file gives the film's first frame; None: as in `read_boxes`.
        classes: classes of a ground truth (8th column) whose boxes are taken; default 1, 2 and 7, MOT's pedestrians.
        bits: of the values of frames in a folder, as of `passerby.images.decode.read_image`.
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
    if every < 1 or margin < 0 or min_height < 1 or camera < 0 or (first_frame is not None and first_frame < 0):
        raise DataError(
            f"every={every}, margin={margin}, min_height={min_height}, camera={camera}, first_frame={first_frame}: "
            "out of range"
        )
    if not 9 <= bits <= GREY_BITS:
        raise DataError(f"bits={bits}: expected 9 to {GREY_BITS}")
    film, folder = Path(video).expanduser(), Path(out).expanduser()
    if not film.exists():
        raise DataError(f"{film}: no such film")
    file = read_entries(boxes, first_frame=first_frame, size=lambda: picture_size(film))
    found = file.boxes
    _check_options(found, boxes, min_confidence, classes)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder; crops are not mixed with anything")
    info = film_info(film)
    crops = VideoCrops(folder / MANIFEST, skipped=dict(file.skipped), notes=[*info.notes, *file.notes])
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
        needed = frozenset(wanted)
        for frame in read_frames(film, wanted=needed.__contains__, last=max(needed), bits=bits):
            if frame.image is None:
                broken += 1
                continue
            crops.frames = frame.index
            for box in wanted.pop(frame.index, ()):
                person = box.track + first_person
                path = _write_crop(box, person, frame.image, place, margin, min_height, crops)
                if path is not None:
                    rows.append((path, person, camera, f"{frame.time:.3f}", box.track))
            if bar is not None:
                bar.advance()
        for number, left in wanted.items():
            inside = "in a broken frame" if number < crops.frames else "after the last frame of the film"
            _skip(crops, "in a frame that the folder does not hold" if info.lacks(number) else inside, len(left))
        if broken:
            crops.notes.append(f"{broken:,} frame(s) of the film are broken and cannot be decoded")
        _refuse_nothing(bool(rows), boxes, crops)
        _write_manifest(place / MANIFEST, rows)
    return crops


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


def _write_crop(
    box: Box, person: int, picture: UInt8, folder: Path, margin: float, min_height: int, crops: VideoCrops
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

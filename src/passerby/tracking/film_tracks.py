"""One pass over one film: boxes, tracks, and vectors of the best crops."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from passerby.array_types import UInt8
from passerby.config.tracking import TrackingSettings
from passerby.errors import DataError
from passerby.gallery.images_or_vectors import grey_bits
from passerby.images.decode import GREY_BITS
from passerby.models.encoder import Encoder
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile
from passerby.tracking.camera_tracks import CameraTracks
from passerby.tracking.crop_selection import Crop, CropSampler, PickedCrop, encode_crops
from passerby.tracking.detections import Detections, suppress_duplicates
from passerby.tracking.detectors.detector import Detector
from passerby.tracking.films import FilmInfo, Frame, film_info, read_frames
from passerby.tracking.motion import make_tracker
from passerby.tracking.score_scale import ScoreScale

_DUPLICATES = 0.7  # IoU of two boxes from a file that are taken for one person's
_START_SCORE = 0.3
_FRAMES_OF_A_SPACING = 10  # fewer frames with boxes may lie so by chance
_MANY_UNCERTAIN = 0.05  # share of a file's boxes
_BATCH = 16  # crops that are encoded together

BoxSource = Callable[[Frame, UInt8], Detections]


@dataclass
class FilmTracks:
    """What one pass over a film gave.

    Attributes:
        source: the film, folder or address.
        camera: its name.
        tracks: the boxes that a track took.
        crops: with vectors.
        frames: number of the last frame that was read.
        rate: frames per second of the frames that were looked at.
        step: frames from one that was looked at to the next.
        info: what the source said of itself.
        size: (width, height), pixels.
        skipped: boxes that came to nothing, by reason.
        notes: what else should be known: broken frames, a film that breaks off.
        scale: of the boxes' scores.
        bits: of the values of frames in a folder.
    """

    source: str
    camera: str
    tracks: CameraTracks
    crops: list[Crop]
    frames: int = 0
    rate: float = 25.0
    step: int = 1
    info: FilmInfo = field(default_factory=lambda: FilmInfo(25.0, None))
    size: tuple[int, int] = (0, 0)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    scale: ScoreScale = field(default_factory=ScoreScale)
    bits: int = GREY_BITS

    @classmethod
    def empty(
        cls, source: str | os.PathLike[str], camera: str, info: FilmInfo, settings: TrackingSettings
    ) -> FilmTracks:
        """Before the first frame."""
        step = math.lcm(settings.every, info.step)
        notes = list(info.notes)
        return cls(os.fspath(source), camera, _table([]), [], rate=info.rate / step, step=step, info=info, notes=notes)

    @property
    def name(self) -> str:
        """The film's name without folder and extension."""
        return Path(self.source).stem


def follow_film(
    source: str | os.PathLike[str],
    *,
    camera: str,
    encoder: Encoder,
    settings: TrackingSettings,
    detector: Detector | None = None,
    boxes: BoxFile | None = None,
    start: float = 0.0,
    thumbnails: bool = True,
    advance: Callable[[int], None] = lambda frames: None,
) -> FilmTracks:
    """Detect (or take boxes from a file), follow, and encode crops.

    Args:
        source: a film, a folder of frames, or an address.
        camera: its name.
        encoder: turns crops into vectors.
        settings: of the tracking.
        detector: finds people; or
        boxes: of the film; those that carry tracks keep them.
        start: moment of the film's first frame, seconds.
        thumbnails: keep small pictures of crops.
        advance: called with the number of frames that were read.

    Raises:
        DataError: nothing can be decoded.
    """
    info = film_info(source, rate=settings.rate)
    found = FilmTracks.empty(source, camera, info, settings)
    found.bits = grey_bits(encoder)
    detect = box_source(found, settings, detector=detector, boxes=boxes)
    sampler = CropSampler(settings, found.scale)
    waiting: list[PickedCrop] = []
    rows: list[tuple[int, float, Detections]] = []
    broken = 0
    try:
        for frame in read_frames(
            source,
            wanted=lambda index: (index - info.first) % settings.every == 0,
            rate=settings.rate,
            bits=found.bits,
        ):
            found.frames = frame.index
            advance(1)
            broken += frame.image is None
            if frame.image is None or not frame.image.size:
                continue
            moment = Frame(frame.index, start + frame.time, frame.image)
            found.size = (frame.image.shape[1], frame.image.shape[0])
            detections = detect(moment, frame.image)
            waiting += sampler.see(moment, detections)
            while len(waiting) >= _BATCH:  # always the same number: graphs are slow to change their batch
                batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
                found.crops += encode_crops(encoder, batch, flip=settings.flip, thumbnails=thumbnails)
            rows.append((moment.index, moment.time, detections.select(detections.tracks >= 0)))
    except DataError as error:
        if not rows:
            raise
        found.notes.append(f"breaks off after frame {found.frames:,}: {error}")
    except KeyboardInterrupt:
        found.notes.append(f"interrupted after frame {found.frames:,}")
    waiting += sampler.finish()
    found.crops += encode_crops(encoder, waiting, flip=settings.flip, thumbnails=thumbnails)
    if broken:
        found.notes.append(f"{broken:,} frame(s) are broken and cannot be decoded")
    count_boxes_of_missing_frames(detect, found.frames)
    found.tracks = _table(rows)
    return found


def box_source(
    found: FilmTracks, settings: TrackingSettings, *, detector: Detector | None, boxes: BoxFile | None
) -> BoxSource:
    """Where a film's boxes come from: a frame and its picture -> boxes with tracks; what is lost is counted in `found`.

    Raises:
        DataError: neither a detector nor boxes.
    """
    return _Detecting(detector, found, settings) if detector is not None else _FromFile(boxes, found, settings)


def count_boxes_of_missing_frames(
    source: BoxSource, last: int, *, first: int = 1, reason: str = "boxes in broken frames"
) -> None:
    """Count the boxes of a file whose frames were not looked at.

    Args:
        source: of `box_source`.
        last: number of the last frame that came.
        first: number of the first frame that was wanted.
        reason: why frames between them are missing.
    """
    if isinstance(source, _FromFile):
        source.count_rest(first, last, reason)


class _Following:
    """A tracker; its arithmetic needs scores that are shares, while the boxes keep their own.

    Args:
        found: what scale the scores are on, and where boxes without a track are counted.
        settings: of the tracking.
        usual: share from which a box starts a track, unless the settings say another.
    """

    def __init__(self, found: FilmTracks, settings: TrackingSettings, *, usual: float) -> None:
        self._found, self._start = found, settings.start_score
        self._tracker = make_tracker(
            settings.tracker,
            rate=found.rate,
            threshold=self._start if self._start is not None and 0 <= self._start <= 1 else usual,
            lost_seconds=settings.lost_seconds,
        )

    def __call__(self, boxes: Detections) -> Detections:
        scores = self._found.scale.for_tracker(boxes.scores, self._start)
        tracks = self._tracker.update(Detections(boxes.xyxy, scores, boxes.tracks))
        _count(self._found, "boxes that no track took", int((tracks < 0).sum()))
        return Detections(boxes.xyxy, boxes.scores, tracks)


class _Detecting:
    """Boxes of a detector, followed by a tracker."""

    def __init__(self, detector: Detector, found: FilmTracks, settings: TrackingSettings) -> None:
        self._detector, self._found, self._least = detector, found, settings.least_score
        self._follow = _Following(found, settings, usual=float(getattr(detector, "threshold", _START_SCORE)))

    def __call__(self, frame: Frame, image: UInt8) -> Detections:
        found = self._detector(image)  # a function of the caller's may give anything with `xyxy`
        every = found if isinstance(found, Detections) else Detections.from_supervision(found)
        was_share = self._found.scale.is_share
        self._found.scale.see(every.scores)
        if was_share and not self._found.scale.is_share:
            self._found.notes.append(str(self._found.scale))
        if self._least is None:
            return self._follow(every)
        detections = every.select(every.scores >= self._least)
        _count(self._found, _below(self._least), len(every) - len(detections))
        return self._follow(detections)


class _FromFile:
    """Boxes of a file; a tracker follows those of a file without tracks."""

    def __init__(self, boxes: BoxFile | None, found: FilmTracks, settings: TrackingSettings) -> None:
        if boxes is None:
            raise DataError(f"{found.source}: neither a detector nor boxes; give one of them")
        self._found = found
        self._by_frame: dict[int, list[Box]] = {}
        self._tracked = any(box.track >= 0 for box in boxes.boxes)
        for box in boxes.boxes:
            if self._tracked and box.track < 0:
                _count(found, "boxes without a track, in a file that has tracks", 1)
            elif _is_below(box, settings.least_score):
                _count(found, _below(settings.least_score), 1)
            elif found.info.lacks(box.frame):
                _count(found, "boxes in frames that the folder does not hold", 1)
            elif (box.frame - found.info.first) % settings.every:
                _count(found, f"boxes in frames that were not looked at (every {settings.every})", 1)
            else:
                self._by_frame.setdefault(box.frame, []).append(box)
        found.notes += [f"boxes: {note}" for note in boxes.notes]
        found.scale.see(box.confidence for box in boxes.boxes if box.confidence is not None)
        if not found.scale.is_share:
            found.notes.append(str(found.scale))
        if not self._tracked:
            found.notes += _notes_on_spacing({box.frame for box in boxes.boxes}, found)
            found.notes += _notes_on_scores(boxes.boxes, settings, found.scale)
        for reason, count in boxes.skipped.items():
            _count(found, f"boxes {reason}", count)
        self._follow = _Following(found, settings, usual=_START_SCORE)

    def __call__(self, frame: Frame, image: UInt8) -> Detections:
        height, width = image.shape[:2]
        given = self._by_frame.pop(frame.index, [])
        boxes = [b for b in given if b.x < width and b.y < height and b.x + b.width > 0 and b.y + b.height > 0]
        _count(self._found, "boxes outside the picture", len(given) - len(boxes))
        detections = Detections.of(
            [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes],
            [1.0 if box.confidence is None else box.confidence for box in boxes],
            [box.track for box in boxes],
        )
        if self._tracked:
            return detections
        single = suppress_duplicates(detections, _DUPLICATES)
        _count(self._found, "boxes that repeat another", len(detections) - len(single))
        return self._follow(single)

    def count_rest(self, first: int, last: int, reason: str) -> None:
        """Boxes of frames that were not looked at."""
        before = sum(len(boxes) for index, boxes in self._by_frame.items() if index < first)
        after = sum(len(boxes) for index, boxes in self._by_frame.items() if index > last)
        _count(self._found, "boxes in frames that were watched before", before)
        _count(self._found, "boxes after the last frame of the film", after)
        _count(self._found, reason, sum(map(len, self._by_frame.values())) - before - after)


def _notes_on_spacing(frames: set[int], found: FilmTracks) -> list[str]:
    """Whether boxes stand in every n-th frame only: a tracker that looks at the others loses everybody."""
    first = min(frames, default=1)
    spacing = math.gcd(*(frame - first for frame in frames))
    if len(frames) < _FRAMES_OF_A_SPACING or spacing <= found.step:
        return []
    remedy = f": --tracking.every {spacing} looks at these alone" if (first - found.info.first) % spacing == 0 else ""
    return [f"boxes in one frame of {spacing} only, from frame {first} on{remedy}"]


def _notes_on_scores(boxes: Sequence[Box], settings: TrackingSettings, scale: ScoreScale) -> list[str]:
    """Whether many boxes are so uncertain that they start no track, but lead tracks astray."""
    start = settings.start_score
    if start is None:
        if not scale.is_share:
            return []
        start = _START_SCORE
    low = sum(_is_below(box, start) and not _is_below(box, settings.least_score) for box in boxes)
    if settings.tracker == "bytetrack" or low <= _MANY_UNCERTAIN * len(boxes):  # which has a use for them
        return []
    return [
        f"{low:,} of {len(boxes):,} boxes have a score below {start:g}: they start no track, but may lead one astray "
        f"(--tracking.least-score {start:g} leaves them out)"
    ]


def _is_below(box: Box, least: float | None) -> bool:
    return least is not None and box.confidence is not None and box.confidence < least


def _below(least: float | None) -> str:
    return f"boxes with a score below {least:g}"


def _count(found: FilmTracks, reason: str, count: int) -> None:
    if count:
        found.skipped[reason] = found.skipped.get(reason, 0) + count


def _table(rows: list[tuple[int, float, Detections]]) -> CameraTracks:
    sizes = [len(detections) for _, _, detections in rows]
    empty = Detections.of([])
    parts = [detections for _, _, detections in rows] or [empty]
    return CameraTracks(
        frames=np.repeat(np.array([frame for frame, _, _ in rows], np.int64), sizes),
        times=np.repeat(np.array([time for _, time, _ in rows], np.float64), sizes),
        boxes=np.concatenate([part.xyxy for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        tracks=np.concatenate([part.tracks for part in parts]),
    )

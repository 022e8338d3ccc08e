"""Which crops of a film become vectors: the best of a track in every second, and none where people overlap.

Vectors are most of the work beside the detector, so that only crops that a tracklet will use are encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import simplejpeg

from passerby.array_types import Float32, UInt8
from passerby.config.tracking import TrackingSettings
from passerby.models.encoder import Encoder
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.films import Frame
from passerby.tracking.score_scale import ScoreScale

_CUT_BY_BORDER = 0.3  # factor of the quality of a box that touches the picture's border: part of the person is missing
_BORDER = 2  # pixels
_THUMBNAIL = 128  # rows


@dataclass(frozen=True, eq=False)
class PickedCrop:
    """A crop that is worth a vector.

    Attributes:
        track: the tracker's number.
        frame: from 1.
        time: seconds.
        quality: 0 to 1: score (1 where scores are no shares), times the share that is not overlapped, less where the
            picture's border cuts it.
        pixels: RGB uint8 [h, w, 3].
        best: whether it is the best of those that were picked together.
    """

    track: int
    frame: int
    time: float
    quality: float
    pixels: UInt8
    best: bool = False


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop of a track with its vector.

    Attributes:
        track: the tracker's number.
        frame: from 1.
        quality: 0 to 1.
        vector: float32 [dim], of unit length.
        thumbnail: JPEG, or None.
    """

    track: int
    frame: int
    quality: float
    vector: Float32
    thumbnail: bytes | None


@dataclass
class _Stretch:
    """A track between two moments at which it may have passed to somebody else."""

    first: float
    last: float
    begin: float  # of the part of time whose best crop is being looked for
    best: PickedCrop | None = None
    picked: list[PickedCrop] = field(default_factory=list)


@dataclass
class CropSampler:
    """Picks crops of a film while it runs; it holds a few crops for each track in sight.

    A stretch of a track ends where its box overlaps another's, or is missing for `cut_gap` seconds. It gives one crop
    for every `crop_seconds` and one for each of its ends, `crops` at most: the best of each of so many equal parts of
    its time.

    Attributes:
        settings: of the tracking.
        scale: of the boxes' scores.
    """

    settings: TrackingSettings
    scale: ScoreScale = field(default_factory=ScoreScale)
    _stretches: dict[int, _Stretch] = field(default_factory=dict, init=False)

    def see(self, frame: Frame, detections: Detections) -> list[PickedCrop]:
        """Look at a frame's boxes (those with a track below 0 only count as neighbours); crops of ended stretches."""
        gone = [t for t, stretch in self._stretches.items() if frame.time - stretch.last > self.settings.cut_gap]
        picked = [crop for track in gone for crop in self.end(track)]
        if frame.image is not None and len(detections):
            others = box_overlap(detections.xyxy, detections.xyxy)
            np.fill_diagonal(others, 0)
            certainties = self.scale.certainties(detections.scores)
            for row in np.flatnonzero(detections.tracks >= 0).tolist():
                whose = (int(detections.tracks[row]), detections.xyxy[row], float(certainties[row]))
                picked += self._look(frame, frame.image, *whose, float(others[row].max()))
        return picked

    def end(self, track: int) -> list[PickedCrop]:
        """The crops of a track's stretch, after it ended or was cut."""
        stretch = self._stretches.pop(track, None)
        if stretch is None:
            return []
        self._keep_best(stretch)
        wanted = 2 + int((stretch.last - stretch.first) / self.settings.crop_seconds)
        chosen = _best_of(stretch.picked, min(wanted, self.settings.crops))
        best = max(chosen, key=lambda crop: crop.quality, default=None)
        return [replace(crop, best=crop is best) for crop in chosen]

    def finish(self) -> list[PickedCrop]:
        """The rest, at the end of the film."""
        return [crop for track in list(self._stretches) for crop in self.end(track)]

    def _look(
        self, frame: Frame, image: UInt8, track: int, box: Float32, certainty: float, overlap: float
    ) -> Sequence[PickedCrop]:
        if overlap > self.settings.cut_overlap:
            return self.end(track)  # what comes after may be somebody else
        stretch = self._stretches.setdefault(track, _Stretch(frame.time, frame.time, frame.time))
        stretch.last = frame.time
        if frame.time - stretch.begin >= self.settings.crop_seconds / 2:  # more to choose from costs next to nothing
            self._keep_best(stretch)
            stretch.begin = frame.time
        crop = cut_crop(image, box, score=certainty, overlap=overlap)
        if crop is None or crop.pixels.shape[0] < self.settings.min_height:
            return ()
        if stretch.best is None or crop.quality > stretch.best.quality:
            stretch.best = PickedCrop(track, frame.index, frame.time, crop.quality, crop.pixels.copy())
        return ()

    def _keep_best(self, stretch: _Stretch) -> None:
        if stretch.best is not None:
            stretch.picked.append(stretch.best)
            stretch.best = None
        if len(stretch.picked) >= 4 * self.settings.crops:  # so that a person who stands for hours costs no memory
            stretch.picked = _best_of(stretch.picked, 2 * self.settings.crops)


@dataclass(frozen=True, eq=False)
class CutCrop:
    """What a box shows.

    Attributes:
        pixels: RGB uint8 [h, w, 3], a view of the picture.
        quality: 0 to 1, see `PickedCrop`.
    """

    pixels: UInt8
    quality: float


def cut_crop(image: UInt8, box: Float32, *, score: float = 1.0, overlap: float = 0.0) -> CutCrop | None:
    """The part of a picture that a box shows; None where they have nothing in common.

    Args:
        image: RGB uint8 [H, W, 3].
        box: [4], left, top, right, bottom in pixels.
        score: of the detector; taken as 0 or 1 beyond these.
        overlap: IoU with the box of somebody else.
    """
    left, top, right, bottom = (round(float(side)) for side in box)
    pixels = image[max(top, 0) : bottom, max(left, 0) : right] if right > 0 and bottom > 0 else image[:0]
    if not pixels.size:
        return None
    height, width = image.shape[:2]
    whole = left > _BORDER and top > _BORDER and right < width - _BORDER and bottom < height - _BORDER
    return CutCrop(pixels, min(max(score, 0.0), 1.0) * (1 - overlap) * (1.0 if whole else _CUT_BY_BORDER))


def _best_of(crops: list[PickedCrop], count: int) -> list[PickedCrop]:
    places = best_places([c.frame for c in crops], [c.quality for c in crops], count)
    return [crops[place] for place in places]


def encode_crops(encoder: Encoder, picked: Sequence[PickedCrop], *, flip: bool, thumbnails: bool) -> list[Crop]:
    """Vectors of crops, in their order.

    Args:
        encoder: makes the vectors.
        picked: crops.
        flip: average with the mirror image.
        thumbnails: keep a small JPEG of the best crop of each stretch.
    """
    if not picked:
        return []
    vectors = encoder.encode([crop.pixels for crop in picked], flip=flip)
    return [
        Crop(
            crop.track, crop.frame, crop.quality, vector, small_jpeg(crop.pixels) if thumbnails and crop.best else None
        )
        for crop, vector in zip(picked, vectors, strict=True)
    ]


def best_places(frames: Sequence[int], qualities: Sequence[float], count: int) -> list[int]:
    """The best of each of `count` equal parts of the time that the frames span, in the order of time."""
    ordered = sorted(range(len(frames)), key=lambda place: frames[place])
    if len(ordered) <= count:
        return ordered
    first, span = frames[ordered[0]], frames[ordered[-1]] - frames[ordered[0]]
    best: dict[int, int] = {}
    for place in ordered:
        part = min(count - 1, (frames[place] - first) * count // span)
        if part not in best or qualities[place] > qualities[best[part]]:
            best[part] = place
    return [best[part] for part in sorted(best)]


def small_jpeg(pixels: UInt8) -> bytes:
    """A thumbnail of a crop."""
    step = max(1, pixels.shape[0] // _THUMBNAIL)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[::step, ::step]), quality=80, colorspace="RGB"))

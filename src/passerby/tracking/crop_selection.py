"""Which crops of a film become vectors: the best of a track in every half second, and none where people overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import simplejpeg

from passerby.array_types import Float32, UInt8
from passerby.config.tracking import TrackingSettings
from passerby.models.encoder import Encoder
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.films import Frame

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
        quality: 0 to 1: score, times the share that is not overlapped, less where the picture's border cuts it.
        pixels: RGB uint8 [h, w, 3].
    """

    track: int
    frame: int
    time: float
    quality: float
    pixels: UInt8


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
class CropSampler:
    """Picks crops of a film while it runs; it holds one crop for each track in sight.

    Attributes:
        settings: of the tracking.
    """

    settings: TrackingSettings
    _since: dict[int, float] = field(default_factory=dict)
    _best: dict[int, PickedCrop] = field(default_factory=dict)

    def see(self, frame: Frame, detections: Detections) -> list[PickedCrop]:
        """Look at a frame's boxes (those with a track below 0 only count as neighbours); crops that are ready."""
        picked: list[PickedCrop] = []
        if frame.image is not None and len(detections):
            others = box_overlap(detections.xyxy, detections.xyxy)
            np.fill_diagonal(others, 0)
            for row in np.flatnonzero(detections.tracks >= 0).tolist():
                picked += self._look(frame, frame.image, detections, row, float(others[row].max()))
        return picked

    def end(self, track: int) -> list[PickedCrop]:
        """The crop that a track still has, after it ended or was cut."""
        self._since.pop(track, None)
        crop = self._best.pop(track, None)
        return [] if crop is None else [crop]

    def finish(self) -> list[PickedCrop]:
        """The rest, at the end of the film."""
        return [crop for track in list(self._since) for crop in self.end(track)]

    def _look(
        self, frame: Frame, image: UInt8, detections: Detections, row: int, overlap: float
    ) -> Iterator[PickedCrop]:
        track = int(detections.tracks[row])
        if overlap > self.settings.cut_overlap:
            yield from self.end(track)  # what comes after may be somebody else
            return
        if track in self._since and frame.time - self._since[track] >= self.settings.crop_seconds:
            yield from self.end(track)
        self._since.setdefault(track, frame.time)
        left, top, right, bottom = (round(float(side)) for side in detections.xyxy[row])
        pixels = image[max(top, 0) : bottom, max(left, 0) : right] if right > 0 and bottom > 0 else image[:0]
        if pixels.shape[0] < self.settings.min_height or not pixels.size:
            return
        height, width = image.shape[:2]
        whole = left > _BORDER and top > _BORDER and right < width - _BORDER and bottom < height - _BORDER
        quality = float(np.clip(detections.scores[row], 0, 1)) * (1 - overlap) * (1.0 if whole else _CUT_BY_BORDER)
        if track not in self._best or quality > self._best[track].quality:
            self._best[track] = PickedCrop(track, frame.index, frame.time, quality, pixels.copy())


def encode_crops(encoder: Encoder, picked: Sequence[PickedCrop], *, flip: bool, thumbnails: bool) -> list[Crop]:
    """Vectors of crops, in their order.

    Args:
        encoder: makes the vectors.
        picked: crops.
        flip: average with the mirror image.
        thumbnails: keep a small JPEG of each.
    """
    if not picked:
        return []
    vectors = encoder.encode([crop.pixels for crop in picked], flip=flip)
    return [
        Crop(crop.track, crop.frame, crop.quality, vector, _jpeg(crop.pixels) if thumbnails else None)
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


def _jpeg(pixels: UInt8) -> bytes:
    step = max(1, pixels.shape[0] // _THUMBNAIL)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[::step, ::step]), quality=80, colorspace="RGB"))

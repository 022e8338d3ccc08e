"""Which crops of a film become vectors: per track and second the best, and none where people overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import simplejpeg

from passerby.array_types import Float32, UInt8
from passerby.models.encoder import Encoder
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.films import Frame
from passerby.tracking.settings import TrackingSettings

_CUT_BY_BORDER = 0.3  # factor of the quality of a box that touches the picture's border: part of the person is missing
_BORDER = 2  # pixels
_BATCH = 16
_THUMBNAIL = 128  # rows


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
class _Candidate:
    """The best crop of a track since `since`."""

    since: float
    quality: float = -1.0
    frame: int = 0
    pixels: UInt8 | None = None


@dataclass
class CropSampler:
    """Picks crops of a film while it runs, and encodes them in small batches.

    Attributes:
        encoder: makes the vectors.
        settings: of the tracking.
        thumbnails: keep a small JPEG of each.
        encoded: how many crops were encoded.
    """

    encoder: Encoder
    settings: TrackingSettings
    thumbnails: bool = True
    encoded: int = 0
    _open: dict[int, _Candidate] = field(default_factory=dict)
    _waiting: list[tuple[int, _Candidate]] = field(default_factory=list)

    def see(self, frame: Frame, detections: Detections) -> Iterator[Crop]:
        """Look at a frame's boxes (those with a track below 0 only count as neighbours); crops that are ready."""
        if frame.image is not None and len(detections):
            others = box_overlap(detections.xyxy, detections.xyxy)
            np.fill_diagonal(others, 0)
            for row in np.flatnonzero(detections.tracks >= 0):
                self._look(frame, frame.image, detections, int(row), float(others[row].max()))
        if len(self._waiting) >= _BATCH:
            yield from self._encode()

    def finish(self) -> Iterator[Crop]:
        """The rest, at the end of the film."""
        for track in list(self._open):
            self._close(track)
        yield from self._encode()

    def end(self, track: int) -> Iterator[Crop]:
        """All that waits, after a track has ended."""
        self._close(track)
        yield from self._encode()

    def _look(self, frame: Frame, image: UInt8, detections: Detections, row: int, overlap: float) -> None:
        track = int(detections.tracks[row])
        if overlap > self.settings.cut_overlap:
            self._close(track)  # what comes after may be somebody else
            return
        candidate = self._open.get(track)
        if candidate is not None and frame.time - candidate.since >= self.settings.crop_seconds:
            self._close(track)
            candidate = None
        if candidate is None:
            candidate = self._open[track] = _Candidate(frame.time)
        left, top, right, bottom = (round(float(side)) for side in detections.xyxy[row])
        pixels = image[max(top, 0) : bottom, max(left, 0) : right] if right > 0 and bottom > 0 else image[:0]
        if pixels.shape[0] < self.settings.min_height or not pixels.size:
            return
        height, width = image.shape[:2]
        whole = left > _BORDER and top > _BORDER and right < width - _BORDER and bottom < height - _BORDER
        quality = float(np.clip(detections.scores[row], 0, 1)) * (1 - overlap) * (1.0 if whole else _CUT_BY_BORDER)
        if quality > candidate.quality:
            candidate.quality, candidate.frame, candidate.pixels = quality, frame.index, pixels.copy()

    def _close(self, track: int) -> None:
        candidate = self._open.pop(track, None)
        if candidate is not None and candidate.pixels is not None:
            self._waiting.append((track, candidate))

    def _encode(self) -> Iterator[Crop]:
        waiting, self._waiting = self._waiting, []
        pictures = [candidate.pixels for _, candidate in waiting if candidate.pixels is not None]
        if not pictures:
            return
        vectors = self.encoder.encode(pictures, batch_size=_BATCH, flip=self.settings.flip)
        self.encoded += len(pictures)
        for (track, candidate), pixels, vector in zip(waiting, pictures, vectors, strict=True):
            small = _jpeg(pixels) if self.thumbnails else None
            yield Crop(track, candidate.frame, candidate.quality, vector, small)


def _jpeg(pixels: UInt8) -> bytes:
    step = max(1, pixels.shape[0] // _THUMBNAIL)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[::step, ::step]), quality=80, colorspace="RGB"))

"""Pieces of tracks that are still in sight, and what becomes of them when they end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from passerby.array_types import Float32
from passerby.config.tracking import TrackingSettings
from passerby.embedding.tracklet import Tracklet
from passerby.gallery.images_or_vectors import VectorEncoder
from passerby.tracking.crop_selection import CropSampler, small_jpeg
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.films import Frame
from passerby.tracking.score_scale import ScoreScale


@dataclass
class _Piece:
    """A piece of a track that is still in sight."""

    frames: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    boxes: list[Float32] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


@dataclass
class OpenPieces:
    """Cuts the tracks of a stream into tracklets; it holds what is in sight and nothing else.

    A piece ends where its track ends, overlaps another, or after `longest` seconds. One of fewer than `least_boxes`
    boxes has no vectors: too little was seen to say who it is.

    Attributes:
        camera: its name.
        source: the film or address.
        encoder: turns crops into vectors.
        settings: of the tracking.
        longest: seconds.
        thumbnails: keep the best crop of a tracklet as a small JPEG.
        least_boxes: see above.
        scale: of the boxes' scores.
    """

    camera: str
    source: str
    encoder: VectorEncoder
    settings: TrackingSettings
    longest: float
    thumbnails: bool = True
    least_boxes: int = 1
    scale: ScoreScale = field(default_factory=ScoreScale)
    _open: dict[int, _Piece] = field(default_factory=dict, init=False)
    _sampler: CropSampler = field(init=False)

    def __post_init__(self) -> None:
        self._sampler = CropSampler(self.settings, self.scale)

    def see(self, frame: Frame, detections: Detections) -> Iterator[Tracklet]:
        """Take the boxes of a frame; tracklets that end with it."""
        covered = self._covered(detections)
        for track in self._ended(covered, frame.time):
            yield self._close(track)
        self._sampler.see(frame, detections)  # a piece is closed before the sampler ends its stretch
        for row in np.flatnonzero(detections.tracks >= 0).tolist():
            track = int(detections.tracks[row])
            if track not in covered:
                piece = self._open.setdefault(track, _Piece())
                piece.frames.append(frame.index)
                piece.times.append(frame.time)
                piece.boxes.append(detections.xyxy[row])
                piece.scores.append(float(detections.scores[row]))

    def finish(self) -> Iterator[Tracklet]:
        """Tracklets of everybody who is still in sight."""
        for track in list(self._open):
            yield self._close(track)

    def _covered(self, detections: Detections) -> set[int]:
        """Tracks whose box overlaps another: what comes after may be somebody else."""
        overlap = box_overlap(detections.xyxy, detections.xyxy)
        np.fill_diagonal(overlap, 0)
        return set(detections.tracks[overlap.max(axis=1, initial=0) > self.settings.cut_overlap].tolist())

    def _ended(self, covered: set[int], now: float) -> list[int]:
        return [
            track
            for track, piece in self._open.items()
            if now - piece.times[-1] > self.settings.cut_gap or track in covered or now - piece.times[0] >= self.longest
        ]

    def _close(self, track: int) -> Tracklet:
        piece = self._open.pop(track)
        crops, enough = self._sampler.end(track), len(piece.frames) >= self.least_boxes
        good = [crop for crop in crops if enough and crop.quality >= self.settings.least_quality]
        dim = self.encoder.dim
        vectors = self.encoder.encode([crop.pixels for crop in good]) if good else np.zeros((0, dim))
        best = max(good, key=lambda crop: crop.quality, default=None)
        return Tracklet(
            camera=self.camera,
            frames=np.array(piece.frames, np.int64),
            times=np.array(piece.times, np.float64),
            boxes=np.array(piece.boxes, np.float32),
            scores=np.array(piece.scores, np.float32),
            vectors=np.asarray(vectors, np.float32),
            vector_frames=np.array([crop.frame for crop in good], np.int64),
            crop_quality=np.array([crop.quality for crop in good], np.float32),
            track=track,
            source=self.source,
            thumbnail=small_jpeg(best.pixels) if best is not None and self.thumbnails else None,
        )

"""From a stream to sightings in a gallery: `passerby.watch`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passerby.config.tracking import TrackingSettings, tracking_settings
from passerby.errors import ConfigError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import thumbnail
from passerby.gallery.result_types import Sighting
from passerby.tracking.boxes.reading import read_boxes
from passerby.tracking.crop_selection import CropSampler, PickedCrop, best_places
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.detectors.detector import Detector, load_detector
from passerby.tracking.film_tracks import FilmTracks, box_source
from passerby.tracking.films import Frame, film_info, read_frames


@dataclass(frozen=True)
class WatchedSighting:
    """Somebody was seen by a camera; printing it says who, when and where.

    Attributes:
        camera: its name.
        start: first moment, seconds.
        end: last moment, seconds.
        boxes: frames with a box.
        crops: of them, the ones that were compared.
        sighting: what the gallery says; None: not good enough to say.
    """

    camera: str
    start: float
    end: float
    boxes: int
    crops: int
    sighting: Sighting | None

    def __str__(self) -> str:
        who = "somebody, not good enough to say who" if self.sighting is None else str(self.sighting)
        return f"{self.camera} {self.start:.1f} to {self.end:.1f} s: {who}"


@dataclass
class _Open:
    """A piece of a track that is still in sight."""

    start: float
    end: float
    first_frame: int
    last_frame: int
    boxes: int = 0
    crops: list[PickedCrop] = field(default_factory=list)


def watch(
    film: str | os.PathLike[str],
    gallery: Gallery,
    *,
    camera: str,
    detector: Detector | str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    start: float = 0.0,
    piece_seconds: float = 10.0,
    threshold: float | None = None,
    settings: TrackingSettings | None = None,
    **changes: Any,
) -> Iterator[WatchedSighting]:
    """Watch a camera or a film and tell the gallery who is seen, one sighting after the other.

    A sighting is a piece of a track: it ends where the track ends, overlaps another, or after `piece_seconds`. Its best
    crops are the probe of `Gallery.observe`, which stores it and enrols unknown people as such; nobody is two of those
    that are in the picture at once. Memory does not grow with the stream.

    Args:
        film: a film, a folder of frames, or a camera's address.
        gallery: opened with an encoder, and with a threshold.
        camera: name that sightings are stored under.
        detector: as for `track`; or
        boxes: a file of boxes.
        start: moment of the first frame, seconds (since 1970 for sightings with a date).
        piece_seconds: longest time to a verdict.
        threshold: as for `Gallery.observe`.
        settings: as for `track`.
        **changes: single fields of `TrackingSettings`.

    Yields:
        Sightings in the order in which they end.

    Raises:
        ConfigError: both or neither of detector and boxes, or an unknown setting.
        DataError: the film cannot be read.
        GalleryError: no threshold, or no encoder.
    """
    chosen = tracking_settings(settings, changes)
    if (detector is None) == (boxes is None):
        raise ConfigError("watch: give a detector or boxes, one of the two")
    info = film_info(film, rate=chosen.rate)
    finder = load_detector(detector) if isinstance(detector, (str, os.PathLike)) else detector
    state = FilmTracks.empty(film, camera, info, chosen)
    detect = box_source(state, chosen, detector=finder, boxes=None if boxes is None else read_boxes(boxes))
    sampler, opened = CropSampler(chosen), dict[int, _Open]()
    for frame in read_frames(film, wanted=lambda index: (index - 1) % chosen.every == 0, rate=chosen.rate):
        if frame.image is None or not frame.image.size:
            continue
        moment = Frame(frame.index, start + frame.time, frame.image)
        detections = detect(moment, frame.image)
        for crop in sampler.see(moment, detections):
            if crop.track in opened:
                opened[crop.track].crops.append(crop)
        covered = _covered(detections, chosen)
        for track in _ended(opened, covered, moment.time, piece_seconds, chosen):
            yield _verdict(opened.pop(track), sampler.end(track), gallery, camera, threshold, chosen, os.fspath(film))
        for track in set(detections.tracks[detections.tracks >= 0].tolist()) - covered:
            piece = opened.setdefault(track, _Open(moment.time, moment.time, frame.index, frame.index))
            piece.end, piece.last_frame, piece.boxes = moment.time, frame.index, piece.boxes + 1
    for track in list(opened):
        yield _verdict(opened.pop(track), sampler.end(track), gallery, camera, threshold, chosen, os.fspath(film))


def _covered(detections: Detections, settings: TrackingSettings) -> set[int]:
    """Tracks whose box overlaps another: what comes after may be somebody else."""
    overlap = box_overlap(detections.xyxy, detections.xyxy)
    np.fill_diagonal(overlap, 0)
    return set(detections.tracks[overlap.max(axis=1, initial=0) > settings.cut_overlap].tolist())


def _ended(
    opened: Mapping[int, _Open], covered: set[int], now: float, longest: float, settings: TrackingSettings
) -> list[int]:
    """Pieces that are over: out of sight, overlapped, or long enough."""
    return [
        track
        for track, piece in opened.items()
        if now - piece.end > settings.cut_gap or track in covered or now - piece.start >= longest
    ]


def _verdict(
    piece: _Open,
    rest: list[PickedCrop],
    gallery: Gallery,
    camera: str,
    threshold: float | None,
    settings: TrackingSettings,
    source: str,
) -> WatchedSighting:
    crops = piece.crops + rest
    places = best_places([crop.frame for crop in crops], [crop.quality for crop in crops], settings.crops)
    good = [crops[place] for place in places if crops[place].quality >= settings.least_quality]
    sighting = None
    if good:
        probe = [crop.pixels for crop in good]
        best = max(good, key=lambda crop: crop.quality)
        sighting = gallery.observe(
            probe,
            camera=camera,
            time=piece.start,
            end=piece.end,
            source=source,
            frames=(piece.first_frame, piece.last_frame),
            threshold=threshold,
            thumbnail=thumbnail(best.pixels) if gallery.thumbnails else None,
        )
    return WatchedSighting(camera, piece.start, piece.end, piece.boxes, len(good), sighting)

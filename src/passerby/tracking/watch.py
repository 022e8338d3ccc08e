"""From a film or a camera to sightings in a gallery: `passerby.watch`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passerby.config.keywords import keywords_of, takes_keywords
from passerby.config.tracking import OF_JOINING, TrackingSettings, watching_settings
from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError, GalleryError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import grey_bits
from passerby.gallery.result_types import Sighting
from passerby.tracking.boxes.reading import read_boxes
from passerby.tracking.detectors.detector import Detector, load_detector
from passerby.tracking.film_tracks import FilmTracks, box_source, count_boxes_of_missing_frames
from passerby.tracking.films import Frame, film_info, is_folder, picture_size
from passerby.tracking.watching.incoming_frames import CameraEvent, IncomingFrames
from passerby.tracking.watching.open_pieces import OpenPieces
from passerby.tracking.watching.resume_file import WatchedSoFar, frame_to_go_on_after
from passerby.tracking.watching.watched_sighting import WatchedSighting

__all__ = ["CameraEvent", "WatchCounts", "WatchedSighting", "watch"]


@dataclass
class WatchCounts:
    """What a watch has seen so far.

    Attributes:
        frames: number of the last frame that came.
        first: number of the first frame; a folder may hold a part of a film.
        looked: frames in which people were looked for.
        sightings: how many.
        undecided: of them, those not good enough to say.
        skipped: boxes and frames that came to nothing, by reason.
        notes: what else should be known.
    """

    frames: int = 0
    looked: int = 0
    sightings: int = 0
    undecided: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    first: int = 1


@takes_keywords(keywords_of(TrackingSettings, without=OF_JOINING))
def watch(
    film: str | os.PathLike[str],
    gallery: Gallery,
    *,
    camera: str,
    detector: Detector | str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    first_frame: int | None = None,
    start: float | None = None,
    speed: float | None = None,
    piece_seconds: float = 10.0,
    least_boxes: int = 3,
    threshold: float | None = None,
    resume: str | os.PathLike[str] | None = None,
    retry_seconds: float = 5.0,
    retries: int | None = None,
    thumbnails: bool = True,
    counts: WatchCounts | None = None,
    report: Callable[[CameraEvent], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    settings: TrackingSettings | None = None,
    **changes: Any,
) -> Iterator[WatchedSighting]:
    """Watch a camera or a film and tell the gallery who is seen, one sighting after the other.

    A sighting is a piece of a track: it ends where the track ends, overlaps another, or after `piece_seconds`. The
    vectors of its best crops are the probe of `Gallery.observe_tracklet`, which stores the sighting and enrols unknown
    people as such; nobody is two of those that are in the picture at once. Memory does not grow with the
    stream. A film that breaks off gives what could be read, and a note in `counts`.

    Args:
        film: a film, a folder of frames, or a camera's address.
        gallery: opened with an encoder, and with a threshold.
        camera: name that sightings are stored under.
        detector: as for `track`; or
        boxes: a file of boxes.
        first_frame: number that the file of boxes gives the film's first frame.
        start: moment of the first frame, seconds (since 1970 for sightings with a date); default: 0 for films, the
            clock for cameras.
        speed: seconds of film in a second of the clock, to treat a film like a camera; default: as fast as possible.
            Where looking for people is slower than a camera or this clock, frames are left out and counted.
        piece_seconds: longest time to a verdict.
        least_boxes: a piece of fewer boxes gets no verdict: a glimpse makes unknown people out of known ones.
        threshold: as for `Gallery.observe`.
        resume: file that says how far the film was watched: read if it exists, written with every sighting. People in
            sight when a watch is killed have no sighting from it.
        retry_seconds: pause before a camera that went away is opened again; it doubles up to a minute.
        retries: failures in a row after which a camera is given up; default: never.
        thumbnails: keep the best crop of a tracklet.
        counts: filled in while watching.
        report: called when a camera goes away or comes back.
        stop: asked before every frame: True ends the watch after the verdicts on everybody in sight.
        settings: as for `track`.
        **changes: single fields of `TrackingSettings`.

    Yields:
        Sightings in the order in which they end.

    Raises:
        ConfigError: both or neither of detector and boxes, an unknown setting or one that only `track` reads, or
            `resume` or `speed` with a camera.
        DataError: the film cannot be read, or a camera was given up.
        GalleryError: no threshold, or no encoder.
    """
    chosen = watching_settings(settings, changes)
    is_folder(film)  # refuses what does not exist
    if (detector is None) == (boxes is None):
        raise ConfigError("watch: give a detector or boxes, one of the two")
    if not piece_seconds > 0:
        raise ConfigError(f"watch: piece_seconds={piece_seconds}; expected a time above 0")
    if least_boxes < 1:
        raise ConfigError(f"watch: least_boxes={least_boxes}; expected 1 or more")
    if gallery.encoder is None:
        raise GalleryError(f"{gallery.location}: opened without an encoder; watching needs the vectors of crops")
    gallery.load()  # now, and not while frames come
    seen = WatchCounts() if counts is None else counts
    place = None if resume is None else Path(resume).expanduser()
    frames = IncomingFrames(
        film,
        camera,
        rate=chosen.rate,
        every=chosen.every,
        bits=grey_bits(gallery.encoder),
        after=0 if place is None else frame_to_go_on_after(place, film, camera),
        start=start,
        speed=speed,
        retry_seconds=retry_seconds,
        retries=retries,
        report=report,
        stop=stop,
    )
    finder = load_detector(detector) if isinstance(detector, (str, os.PathLike)) else detector
    info = film_info(film, rate=chosen.rate)
    seen.first = info.first
    tracks = FilmTracks.empty(film, camera, info, chosen)
    file = None if boxes is None else read_boxes(boxes, first_frame=first_frame, size=lambda: picture_size(film))
    detect = box_source(tracks, chosen, detector=finder, boxes=file)
    pieces = OpenPieces(
        camera, os.fspath(film), gallery.encoder, chosen, piece_seconds, thumbnails, least_boxes, tracks.scale
    )

    def verdict(tracklet: Tracklet, now: float) -> WatchedSighting:
        good = len(tracklet.vectors) > 0 and tracklet.quality >= chosen.least_quality
        sighting = _observe(gallery, tracklet, threshold) if good else None
        seen.sightings += 1
        seen.undecided += sighting is None
        return WatchedSighting(tracklet, now, sighting)

    now = 0.0
    for frame in frames:
        seen.frames, now = frame.index, frame.time
        if frame.image is not None and frame.image.size:
            seen.looked += 1
            for tracklet in pieces.see(frame, detect(frame, frame.image)):
                yield verdict(tracklet, now)
                _save(place, film, camera, frame)
    for tracklet in pieces.finish():
        yield verdict(tracklet, now)
    if place is not None and seen.frames:
        WatchedSoFar(os.fspath(film), camera, seen.frames).save(place)
    missing = "boxes in frames that were left out or are broken" if frames.late else "boxes in broken frames"
    count_boxes_of_missing_frames(detect, seen.frames, first=frames.after + 1, reason=missing)
    _close(seen, frames, tracks)


def _observe(gallery: Gallery, tracklet: Tracklet, threshold: float | None) -> Sighting:
    """The only place where a tracklet is given to the gallery."""
    return gallery.observe_tracklet(tracklet, threshold=threshold)


def _save(place: Path | None, film: str | os.PathLike[str], camera: str, frame: Frame) -> None:
    if place is not None:
        WatchedSoFar(os.fspath(film), camera, frame.index).save(place)


def _close(seen: WatchCounts, frames: IncomingFrames, tracks: FilmTracks) -> None:
    seen.skipped.update(tracks.skipped)
    if frames.late:
        seen.skipped["frames that came while earlier ones were looked at"] = frames.late
    if frames.broken:
        seen.skipped["frames that are broken"] = frames.broken
    seen.notes += [*tracks.notes, *([frames.note] if frames.note else [])]

"""What a caller knows of one passage of a person before a camera, as the record of a sighting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passerby.embedding.tracklet import Tracklet
from passerby.errors import GalleryRequestError
from passerby.gallery.argument_checks import camera_name, is_integer
from passerby.gallery.stores.rows import SightingRecord
from passerby.gallery.times import Moment, to_seconds

_LONGEST_SOURCE = 1000


def passage(
    camera: str | None,
    time: Moment | None,
    end: Moment | None,
    source: str,
    frames: tuple[int, int] | None,
    count: int,
) -> SightingRecord:
    """A sighting, but for who it is.

    Args:
        camera: its name.
        time: first moment.
        end: last moment; default: the first.
        source: film or folder.
        frames: first and last frame in the source.
        count: pictures of the person.

    Raises:
        GalleryError: an end without a start or before it, frames that are not in order, or a source that is not text.
    """
    start = None if time is None else to_seconds(time, what="time")
    last = start if end is None else to_seconds(end, what="end")
    if end is not None and (start is None or last is None or last < start):
        raise GalleryRequestError(f"end: expected a moment not before `time`, found {end!r} with time={time!r}")
    if frames is not None and not (
        isinstance(frames, (tuple, list))
        and len(frames) == 2
        and all(is_integer(frame) for frame in frames)
        and 0 <= frames[0] <= frames[1]
    ):
        raise GalleryRequestError(f"frames: expected (first, last) in order, found {frames!r}")
    if not isinstance(source, str) or len(source) > _LONGEST_SOURCE:
        raise GalleryRequestError(f"source: expected text of at most {_LONGEST_SOURCE} characters, found {source!r}")
    first_frame, last_frame = (None, None) if frames is None else frames
    return SightingRecord(
        0, camera, start, last, frames=count, source=source, first_frame=first_frame, last_frame=last_frame
    )


def record_of(tracklet: Tracklet) -> SightingRecord:
    """A tracklet as a sighting, but for who it is."""
    span = (int(tracklet.frames[0]), int(tracklet.frames[-1]))
    return passage(camera_name(tracklet.camera), tracklet.start, tracklet.end, tracklet.source, span, len(tracklet))


def moments_of(tracklet: Tracklet) -> npt.NDArray[np.float64]:
    """Seconds [k] of the frames of a tracklet's vectors."""
    return np.interp(tracklet.vector_frames, tracklet.frames, tracklet.times)

"""From pictures of tracks to sightings in a gallery: `passerby.observe_tracks`."""

from __future__ import annotations

import os

import numpy as np

from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import grey_bits, thumbnail
from passerby.gallery.result_types import Sighting
from passerby.images.decode import read_image
from passerby.progress import progress_bar
from passerby.tracking.track_manifest import PictureTrack, read_tracks


def observe_tracks(
    manifest: str | os.PathLike[str],
    gallery: Gallery,
    *,
    views: int = 8,
    keep: bool = False,
    threshold: float | None = None,
    actor: str = "",
) -> list[Sighting]:
    """Observe the tracks of a table, one after the other by their first moment; nobody is two tracks at once.

    Whoever one camera sees in one track is no candidate for another track of that camera that overlaps it in time.

    Args:
        manifest: CSV or Parquet; see `passerby.tracking.track_manifest.read_tracks`.
        gallery: opened with an encoder.
        views: pictures of a track that are compared, spread evenly over it.
        keep: as for `Gallery.observe`.
        threshold: as for `Gallery.observe`.
        actor: who asked, for the log.

    Returns:
        Sightings, in the order in which the tracks begin.

    Raises:
        ConfigError: less than one view.
        DataError: the manifest cannot be read.
        GalleryError: no threshold, or no encoder.
        ImageError: a picture cannot be read.
    """
    if views < 1:
        raise ConfigError(f"views: expected 1 or more, found {views}")
    tracks = read_tracks(manifest)
    sightings = []
    with progress_bar("tracks", len(tracks)) as bar:
        for track in tracks:
            tracklet = _tracklet(track, gallery, views)
            sightings.append(gallery.observe_tracklet(tracklet, keep=keep, threshold=threshold, actor=actor))
            bar.advance(1)
    return sightings


def _tracklet(track: PictureTrack, gallery: Gallery, views: int) -> Tracklet:
    count = len(track.pictures)
    chosen = np.unique(np.linspace(0, count - 1, min(views, count)).round().astype(np.int64))
    bits = grey_bits(gallery.encoder)
    pictures = [read_image(track.pictures[place].path, bits=bits) for place in chosen.tolist()]
    vectors = gallery.encode(pictures)
    numbers = [picture.frame for picture in track.pictures]
    known = [number for number in numbers if number is not None]
    in_order = len(known) == count and bool((np.diff(known) > 0).all())
    frames = np.array(known if in_order else range(1, count + 1), np.int64)
    return Tracklet(
        camera=track.camera,
        frames=frames,
        times=np.array([picture.time for picture in track.pictures], np.float64),
        boxes=np.zeros((count, 4), np.float32),  # pictures are crops already
        scores=np.ones(count, np.float32),
        vectors=vectors,
        vector_frames=frames[chosen],
        crop_quality=np.ones(len(chosen), np.float32),
        source=track.source,
        thumbnail=thumbnail(pictures[len(pictures) // 2]) if gallery.thumbnails else None,
    )

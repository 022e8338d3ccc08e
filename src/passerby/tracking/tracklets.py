"""From a tracker's boxes and the crops of a film to tracklets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from passerby.array_types import Int64
from passerby.config.tracking import TrackingSettings
from passerby.embedding.tracklet import Tracklet
from passerby.tracking.camera_tracks import CameraTracks, cut_tracks
from passerby.tracking.crop_selection import Crop, best_places


def make_tracklets(
    tracks: CameraTracks, crops: Sequence[Crop], settings: TrackingSettings, *, camera: str, source: str, dim: int
) -> tuple[list[Tracklet], Int64]:
    """Cut tracks into tracklets.

    Args:
        tracks: of one film.
        crops: with vectors, of the same film.
        settings: where to cut, and how many crops to use.
        camera: its name.
        source: the film's name.
        dim: length of a vector.

    Returns:
        The tracklets, and the place in them of each row of `tracks` [n].
    """
    if not len(tracks):
        return [], np.zeros(0, np.int64)
    pieces = cut_tracks(tracks, overlap=settings.cut_overlap, gap=settings.cut_gap)
    owner = {(int(t), int(f)): int(p) for t, f, p in zip(tracks.tracks, tracks.frames, pieces, strict=True)}
    of_piece: dict[int, list[Crop]] = {}
    for crop in crops:
        of_piece.setdefault(owner[crop.track, crop.frame], []).append(crop)
    order = np.argsort(pieces, kind="stable")
    tracklets = []
    for piece, rows in enumerate(np.split(order, np.flatnonzero(np.diff(pieces[order])) + 1)):
        own = of_piece.get(piece, [])
        places = best_places([crop.frame for crop in own], [crop.quality for crop in own], settings.crops)
        chosen = [own[place] for place in places]
        pictures = [crop.thumbnail for crop in sorted(own, key=lambda crop: -crop.quality) if crop.thumbnail]
        tracklets.append(
            Tracklet(
                camera=camera,
                frames=tracks.frames[rows],
                times=tracks.times[rows],
                boxes=tracks.boxes[rows],
                scores=tracks.scores[rows],
                vectors=np.array([crop.vector for crop in chosen], np.float32).reshape(-1, dim),
                vector_frames=np.array([crop.frame for crop in chosen], np.int64),
                crop_quality=np.array([crop.quality for crop in chosen], np.float32),
                track=int(tracks.tracks[rows[0]]),
                source=source,
                thumbnail=pictures[0] if pictures else None,
            )
        )
    return tracklets, pieces

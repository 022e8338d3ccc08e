"""A tracker's boxes of one film, row by row, and where its tracks are cut because they may mix people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, Float64, Int64
from passerby.tracking.detections import box_overlap


@dataclass(frozen=True, eq=False)
class CameraTracks:
    """Boxes that a tracker followed in one film, ordered by frame.

    Attributes:
        frames: int64 [n], from 1.
        times: float64 [n], seconds.
        boxes: float32 [n, 4], left, top, right, bottom in pixels.
        scores: float32 [n].
        tracks: int64 [n], the tracker's numbers.
    """

    frames: Int64
    times: Float64
    boxes: Float32
    scores: Float32
    tracks: Int64

    def __len__(self) -> int:
        return len(self.frames)


def overlap_with_others(tracks: CameraTracks) -> Float32:
    """Largest IoU of each box with another box of its frame, [n]."""
    largest = np.zeros(len(tracks), np.float32)
    for rows in _by_frame(tracks.frames):
        if len(rows) > 1:
            between = box_overlap(tracks.boxes[rows], tracks.boxes[rows])
            np.fill_diagonal(between, 0)
            largest[rows] = between.max(axis=1)
    return largest


def cut_tracks(tracks: CameraTracks, *, overlap: float, gap: float) -> Int64:
    """Number of the piece that each box belongs to, [n]; pieces are numbered from 0 in the order of their first box.

    A track is cut where it may have passed from one person to another: in the frame in which its box overlaps
    another's most, once for every stretch of frames in which the IoU exceeds `overlap`; and where it has no box for
    more than `gap` seconds.

    Args:
        tracks: of one film.
        overlap: IoU.
        gap: seconds.
    """
    others = overlap_with_others(tracks)
    key = np.zeros((len(tracks), 2), np.int64)
    for track in np.unique(tracks.tracks):
        rows = np.flatnonzero(tracks.tracks == track)
        key[rows, 0] = track
        key[rows, 1] = _piece_of_each(others[rows] > overlap, others[rows], tracks.times[rows], gap)
    _, first, piece = np.unique(key, axis=0, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[piece.reshape(-1)]


def _piece_of_each(overlapped: np.ndarray, others: Float32, times: Float64, gap: float) -> Int64:
    """Pieces of one track's boxes, counted from 0."""
    begins = np.zeros(len(times), bool)
    begins[1:] = np.diff(times) > gap
    edges = np.flatnonzero(np.diff(np.concatenate([[False], overlapped, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        deepest = start + int(np.argmax(others[start:stop]))
        if deepest > 0:
            begins[deepest] = True
    return np.cumsum(begins).astype(np.int64)


def _by_frame(frames: Int64) -> Iterator[Int64]:
    """Rows of each frame; frames are in ascending order."""
    edges = np.flatnonzero(np.diff(frames)) + 1
    yield from np.split(np.arange(len(frames)), edges)

"""What tracking gave: who was where, when, in which film."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.embedding.tracklet import Tracklet
from passerby.evaluation.tracks import TrackReport, TrackRows, compare_tracks
from passerby.images.decode import GREY_BITS
from passerby.tracking.track_files import FoundTracks, read_truth, truth_by_film


@dataclass(frozen=True, eq=False)
class IdentityRows:
    """Boxes of one film with identities, ordered by frame.

    Attributes:
        frames: int64 [n], from 1.
        times: float64 [n], seconds.
        identities: int64 [n], from 1; the same number for the same person in all films.
        boxes: float32 [n, 4], left, top, right, bottom in pixels.
        scores: float32 [n].
        tracklets: int64 [n], place in the result's tracklets; -1 for a filled box.
        filled: bool [n], boxes that nobody detected, on a straight line between two that were.
    """

    frames: Int64
    times: Float64
    identities: Int64
    boxes: Float32
    scores: Float32
    tracklets: Int64
    filled: Bool

    def __len__(self) -> int:
        return len(self.frames)

    def as_track_rows(self) -> TrackRows:
        """As `compare_tracks` reads them."""
        left_top, right_bottom = self.boxes[:, :2], self.boxes[:, 2:]
        boxes = np.concatenate([left_top, right_bottom - left_top], axis=1).astype(np.float64)
        return TrackRows(self.frames, self.identities, boxes)


@dataclass(frozen=True)
class TrackedFilm:
    """One film of a result.

    Attributes:
        source: the film, folder or address.
        name: without folder and extension; files about it are called so.
        camera: its camera.
        frames: number of the last frame that was read.
        rate: frames per second of the frames that were looked at.
        step: frames from one that was looked at to the next.
        size: (width, height), pixels.
        rows: who was where.
        skipped: boxes that came to nothing, by reason.
        notes: what else should be known.
        first: number of the first frame; a folder may hold a part of a film.
        bits: of the values of frames in a folder, as they were read.
    """

    source: str
    name: str
    camera: str
    frames: int
    rate: float
    step: int
    size: tuple[int, int]
    rows: IdentityRows
    skipped: Mapping[str, int]
    notes: tuple[str, ...]
    first: int = 1
    bits: int = GREY_BITS


@dataclass(frozen=True, eq=False)
class TrackingResult:
    """What `passerby.track` found; printing it shows the counts.

    Attributes:
        films: in the order given.
        tracklets: of all films.
        identities: int64 [number of tracklets], from 1 in the order of their first moment.
        decided: bool [number of tracklets]: good enough to say who it is; others stay with their track.
        fingerprint: of the encoder.
        notes: how tracklets were joined, and what else should be known.
        folder: where it was written, or None.
    """

    films: tuple[TrackedFilm, ...]
    tracklets: tuple[Tracklet, ...]
    identities: Int64
    decided: Bool
    fingerprint: str
    notes: tuple[str, ...] = field(default=())
    folder: Path | None = None

    @property
    def people(self) -> int:
        """Identities with at least one tracklet that is good enough."""
        return len(np.unique(self.identities[self.decided]))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the films' cameras, sorted."""
        return tuple(sorted({film.camera for film in self.films}))

    def people_seen_by(self, cameras: int) -> int:
        """How many of the `people` were seen by so many cameras or more."""
        seen_by = Counter(
            identity
            for identity, _ in {(int(i), t.camera) for i, t in zip(self.identities, self.tracklets, strict=True)}
        )
        return sum(seen_by[identity] >= cameras for identity in np.unique(self.identities[self.decided]).tolist())

    def evaluate(
        self,
        truth: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]],
        *,
        first_frame: int | None = None,
    ) -> TrackReport:
        """Compare with the truth.

        Args:
            truth: file of true boxes with identities, by film name, or a list as of `evaluate_tracks`; the same
                identity in all films for one person. Any
                format of `read_boxes`; in frames that were not looked at nothing is counted; neither are boxes whose
                confidence (MOT's flag) is 0.
            first_frame: number that these files give a film's first frame.

        Raises:
            DataError: a film that is not in the result, or a file that cannot be read.
        """
        known = {film.name: film for film in self.films}
        found, true, notes = {}, {}, list[str]()
        for name, path in truth_by_film(truth, list(known)).items():
            film = known[name]
            found[name] = film.rows.as_track_rows()
            true[name], left_out = read_truth(
                path,
                FoundTracks(found[name], film.step, film.frames, film.size, first=film.first),
                first_frame=first_frame,
            )
            notes += left_out
        return replace(compare_tracks(found, true), notes=tuple(notes))

    def to_dict(self) -> dict[str, object]:
        """Counts as plain values."""
        return {
            "people": self.people,
            "people_seen_by_all_cameras": self.people_seen_by(len(self.cameras)),
            "cameras": list(self.cameras),
            "identities": len(np.unique(self.identities)),
            "tracklets": len(self.tracklets),
            "undecided_tracklets": int((~self.decided).sum()),
            "folder": None if self.folder is None else str(self.folder),
            "notes": list(self.notes),
            "films": [
                {
                    "film": film.source,
                    "name": film.name,
                    "camera": film.camera,
                    "frames": film.frames,
                    "first": film.first,
                    "rate": film.rate,
                    "step": film.step,
                    "size": list(film.size),
                    "boxes": int((~film.rows.filled).sum()),
                    "filled": int(film.rows.filled.sum()),
                    "identities": len(np.unique(film.rows.identities)),
                    "skipped": dict(film.skipped),
                    "notes": list(film.notes),
                }
                for film in self.films
            ],
        }

    def __str__(self) -> str:
        undecided = int((~self.decided).sum())
        others = len(np.unique(self.identities)) - self.people
        lines = [
            f"{self.people:,} people in {len(self.films)} film(s){self._seen_by_several()}: {len(self.tracklets):,} "
            f"tracklets, {undecided:,} of them not good enough to say"
            + (f" ({others:,} more identities are made of these alone)" if others else "")
        ]
        for film in self.films:
            rows = film.rows
            lines.append(
                f"  {film.name} (camera {film.camera}): {film.frames:,} frames, {(~rows.filled).sum():,} boxes "
                f"(+ {rows.filled.sum():,} filled) of {len(np.unique(rows.identities)):,} identities"
            )
            lines += [f"    {count:,} {reason}" for reason, count in film.skipped.items()]
            lines += [f"    {note}" for note in film.notes]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join([*lines, *([f"written to {self.folder}"] if self.folder else [])])

    def _seen_by_several(self) -> str:
        count = len(self.cameras)
        if count < 2:
            return ""
        if count == 2:
            return f", {self.people_seen_by(2):,} of them seen by both cameras"
        return (
            f", {self.people_seen_by(count):,} of them seen by all {count} cameras and {self.people_seen_by(2):,} by "
            "two or more"
        )


def identity_rows(
    frames: Int64, times: Float64, boxes: Float32, scores: Float32, tracklets: Int64, identities: Int64
) -> IdentityRows:
    """Rows of a film in which every identity is once in a frame: of two boxes the more certain one stays.

    Args:
        frames: [n].
        times: [n].
        boxes: [n, 4].
        scores: [n].
        tracklets: [n], place in `identities`.
        identities: of each tracklet.
    """
    owner = identities[tracklets] if len(tracklets) else np.zeros(0, np.int64)
    order = np.lexsort((-scores, owner, frames))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(frames[order]) != 0) | (np.diff(owner[order]) != 0)
    kept = order[first]
    return IdentityRows(
        frames[kept], times[kept], owner[kept], boxes[kept], scores[kept], tracklets[kept], np.zeros(len(kept), bool)
    )


def fill_gaps(rows: IdentityRows, *, seconds: float, step: int) -> IdentityRows:
    """Add boxes on straight lines where an identity has none for up to `seconds`.

    Args:
        rows: of one film.
        seconds: longest gap that is filled.
        step: frames from one that was looked at to the next.
    """
    added: list[tuple[Int64, Float64, Int64, Float32, Float32]] = []
    for identity in np.unique(rows.identities):
        own = np.flatnonzero(rows.identities == identity)
        for before, after in pairwise(own.tolist()):
            gap = int(rows.frames[after] - rows.frames[before])
            if gap <= step or rows.times[after] - rows.times[before] > seconds:
                continue
            frames = np.arange(rows.frames[before] + step, rows.frames[after], step, dtype=np.int64)
            share = ((frames - rows.frames[before]) / gap)[:, None]
            ends = [np.column_stack([rows.times[i], *rows.boxes[i], rows.scores[i]]) for i in (before, after)]
            between = (1 - share) * ends[0] + share * ends[1]
            added.append(
                (
                    frames,
                    between[:, 0],
                    np.full(len(frames), identity),
                    between[:, 1:5].astype(np.float32),
                    between[:, 5].astype(np.float32),
                )
            )
    if not added:
        return rows
    columns: Sequence[np.ndarray] = [np.concatenate(part) for part in zip(*added, strict=True)]
    count = len(columns[0])
    frames = np.concatenate([rows.frames, columns[0]])
    identities = np.concatenate([rows.identities, columns[2]])
    order = np.lexsort((identities, frames))
    return IdentityRows(
        frames=frames[order],
        times=np.concatenate([rows.times, columns[1]])[order],
        identities=identities[order],
        boxes=np.concatenate([rows.boxes, columns[3]])[order],
        scores=np.concatenate([rows.scores, columns[4]])[order],
        tracklets=np.concatenate([rows.tracklets, np.full(count, -1)])[order],
        filled=np.concatenate([rows.filled, np.ones(count, bool)])[order],
    )

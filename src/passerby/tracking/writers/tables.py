"""Who was where as MOT, CSV and Parquet; tracklets with their vectors as Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.embedding.embeddings import Embeddings
from passerby.tracking.result import IdentityRows, TrackedFilm, TrackingResult

COLUMNS = (
    "film", "camera", "frame", "time", "identity", "tracklet", "left", "top", "width", "height", "score", "filled",
)  # fmt: skip


STAYS = ("identity", "camera", "film", "start", "end", "boxes")
_LEFT = 2.0
"""Seconds without a box after which somebody has left the picture, and comes back for another stay."""


def write_mot(path: Path, rows: IdentityRows) -> None:
    """`frame,identity,left,top,width,height,score,-1,-1,-1` a line, as in results of the MOT challenge."""
    with path.open("w", encoding="utf-8") as file:
        for frame, _, identity, _, left, top, width, height, score, _ in _cells(rows):
            file.write(f"{frame},{identity},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.4f},-1,-1,-1\n")


def write_csv(path: Path, result: TrackingResult) -> None:
    """All films in one table with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for film in result.films:
            for frame, time, identity, tracklet, left, top, width, height, score, filled in _cells(film.rows):
                box = [f"{value:.2f}" for value in (left, top, width, height)]
                numbers = [frame, f"{time:.3f}", identity, "" if tracklet < 0 else tracklet]
                writer.writerow([film.name, film.camera, *numbers, *box, f"{score:.4f}", int(filled)])


def write_stays(path: Path, result: TrackingResult) -> None:
    """Who was in which camera's view from when to when, a line a stay, by identity and time (seconds)."""
    stays = sorted(stay for film in result.films for stay in _stays(film))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(STAYS)
        for identity, start, end, camera, film, boxes in stays:
            writer.writerow([identity, camera, film, f"{start:.3f}", f"{end:.3f}", boxes])


def _stays(film: TrackedFilm) -> Iterator[tuple[int, float, float, str, str, int]]:
    rows = film.rows
    order = np.lexsort((rows.times, rows.identities))
    identities, times, seen = rows.identities[order], rows.times[order], ~rows.filled[order]
    gap = max(_LEFT, 1.5 / film.rate)  # few frames a second are no absence
    begins = np.flatnonzero((np.diff(identities) != 0) | (np.diff(times) > gap)) + 1
    for stay in np.split(np.arange(len(order)), begins):
        if len(stay):
            first, last = stay[0], stay[-1]
            start, end = float(times[first]), float(times[last])
            yield int(identities[first]), start, end, film.camera, film.name, int(seen[stay].sum())


def write_parquet(path: Path, result: TrackingResult) -> None:
    """The same table as Parquet; a filled box has no tracklet."""
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for film in result.films:
        for cells in _cells(film.rows):
            values = (film.name, film.camera, *cells)
            for name, value in zip(COLUMNS, values, strict=True):
                columns[name].append(None if name == "tracklet" and value == -1 else value)
    pq.write_table(pa.table(columns), path, use_dictionary=["film", "camera"])


def write_json_lines(path: Path, result: TrackingResult) -> None:
    """One object a film and frame: `{"film", "camera", "frame", "time", "objects": [{"track", "xyxy", "score", ...}]}`.

    `track` is the identity; `read_boxes` reads the lines of one film.
    """
    with path.open("w", encoding="utf-8") as file:
        for film in result.films:
            for (frame, time), cells in groupby(_cells(film.rows), key=lambda cells: cells[:2]):
                objects = [
                    {
                        "track": identity,
                        "tracklet": None if tracklet < 0 else tracklet,
                        "xyxy": [round(side, 2) for side in (left, top, left + width, top + height)],
                        "score": round(score, 4),
                        "filled": filled,
                    }
                    for _, _, identity, tracklet, left, top, width, height, score, filled in cells
                ]
                line = {"film": film.name, "camera": film.camera, "frame": frame, "time": round(time, 3)}
                file.write(json.dumps({**line, "objects": objects}) + "\n")


def tracklet_embeddings(result: TrackingResult) -> Embeddings:
    """One vector a tracklet that has one: pid is the identity, camid the camera's place, the path its film."""
    cameras = sorted({t.camera for t in result.tracklets})
    rows = [(i, t, t.vector) for i, t in enumerate(result.tracklets)]
    seen = [(i, t, vector) for i, t, vector in rows if vector is not None]
    return Embeddings(
        vectors=np.array([vector for _, _, vector in seen], np.float32),
        pids=np.array([result.identities[i] for i, _, _ in seen], np.int64),
        camids=np.array([cameras.index(t.camera) for _, t, _ in seen], np.int64),
        paths=tuple(t.source for _, t, _ in seen),
        times=np.array([t.start for _, t, _ in seen], np.float64),
        tracklets=np.array([i for i, _, _ in seen], np.int64),
        fingerprint=result.fingerprint,
        notes=tuple(f"camera {place}: {name}" for place, name in enumerate(cameras)),
    )


def _cells(
    rows: IdentityRows,
) -> Iterator[tuple[int, float, int, int, float, float, float, float, float, bool]]:
    sizes = rows.boxes[:, 2:] - rows.boxes[:, :2]
    columns = (
        rows.frames, rows.times, rows.identities, rows.tracklets, rows.boxes[:, 0], rows.boxes[:, 1], sizes[:, 0],
        sizes[:, 1], rows.scores, rows.filled,
    )  # fmt: skip
    yield from zip(*(column.tolist() for column in columns), strict=True)

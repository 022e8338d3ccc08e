"""How good tracks are, from files or from arrays: `passerby.evaluate_tracks`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from passerby.errors import DataError
from passerby.evaluation.tracks import TrackReport, TrackRows, compare_tracks
from passerby.tracking.track_files import (
    FoundTracks,
    online_figures,
    read_result_folder,
    read_tracks_of_film,
    read_truth,
    read_watched,
    truth_by_film,
)

File: TypeAlias = str | os.PathLike[str]
Tracks: TypeAlias = File | Sequence[File] | Mapping[str, "File | TrackRows"]


def evaluate_tracks(
    result: Tracks, truth: Tracks, *, first_frame: int | None = None, every: int | None = None
) -> TrackReport:
    """Compare tracks with the truth: IDF1, MOTA, HOTA and identity switches.

    Over several films identities count together, so that one person must have one identity under all cameras (the
    IDF1 of multi-target multi-camera tracking).

    Args:
        result: a folder that `track` wrote; a file (or several) of boxes with identities in any format of
            `read_boxes`, or of the JSON lines of `passerby watch --with-boxes`; or files or `TrackRows` by film.
        truth: files or `TrackRows` by film, or a list of files: to the films that have their names, or, where no film
            has one of them, one a film in their order. The same identity in all films for one person.
        first_frame: number that these files give a film's first frame.
        every: the result has every so many frames, from the first one; default: what a folder or `watch` says, else 1.

    Returns:
        The figures; true boxes in frames that were not looked at do not count, and neither do those whose confidence
        (MOT's flag) is 0; the notes say what of a file was left out. Of the JSON lines of `watch` also how soon and how
        often it decided; boxes without a verdict count as not found.

    Raises:
        DataError: a file that cannot be read, or films that the other side does not have.
        EmbeddingError: a film without true boxes, or two boxes of an identity in one frame.
        MissingExtraError: the package `trackeval` is not installed.
    """
    films, sightings = _films(result, first_frame)
    if every is not None:
        if every < 1:
            raise DataError(f"every={every}; expected a number from 1")
        films = {name: replace(film, step=every) for name, film in films.items()}
    given = truth_by_film(truth, list(films))
    notes = [f"{name}: no truth given, not counted" for name in films if name not in given]
    true: dict[str, TrackRows] = {}
    for name, one in given.items():
        notes += films[name].notes
        true[name], left_out = (
            (one, []) if isinstance(one, TrackRows) else read_truth(one, films[name], first_frame=first_frame)
        )
        notes += left_out
    found = {name: _looked_at(films[name]) for name in given}
    report = compare_tracks(found, true)
    online = online_figures(sightings) if sightings else None
    return replace(report, online=online, notes=tuple(notes))


def _films(result: Tracks, first_frame: int | None) -> tuple[dict[str, FoundTracks], list[Mapping[str, Any]]]:
    """Films by name, and sightings where the result is of `watch`."""
    if isinstance(result, Mapping):
        sources = list(result.items())
    else:
        sources = [("", source) for source in ([result] if isinstance(result, (str, os.PathLike)) else result)]
    films: dict[str, FoundTracks] = {}
    sightings: list[Mapping[str, Any]] = []
    for name, source in sources:
        found, seen = _tracks_of(name, source, first_frame)
        twice = films.keys() & found.keys()
        if twice:
            raise DataError(f"{source}: the result already has a film {twice.pop()}; name them, NAME=FILE")
        films |= found
        sightings += seen
    if not films:
        raise DataError("evaluating tracks: expected a result, found none")
    return films, sightings


def _tracks_of(
    name: str, source: File | TrackRows, first_frame: int | None
) -> tuple[dict[str, FoundTracks], Sequence[Mapping[str, Any]]]:
    if isinstance(source, TrackRows):
        return {name: FoundTracks(source)}, ()
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such result")
    if path.is_dir():
        return read_result_folder(path), ()
    watched = read_watched(path)
    if watched is not None:
        return dict(watched.films), watched.sightings
    return {name or path.stem: read_tracks_of_film(path, first_frame)}, ()


def _looked_at(film: FoundTracks) -> TrackRows:
    """The rows in frames that the step allows."""
    kept = np.array([film.has_looked_at(frame) for frame in film.rows.frames.tolist()], bool)
    return (
        film.rows
        if np.all(kept)
        else TrackRows(film.rows.frames[kept], film.rows.identities[kept], film.rows.boxes[kept])
    )

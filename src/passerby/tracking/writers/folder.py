"""The folder that holds a tracking's result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from passerby.files import replace_folder
from passerby.progress import progress_bar
from passerby.tracking.films import is_address
from passerby.tracking.result import TrackedFilm, TrackingResult
from passerby.tracking.track_files import SUMMARY
from passerby.tracking.writers.annotated_film import write_annotated_film
from passerby.tracking.writers.page import write_report_page
from passerby.tracking.writers.tables import (
    tracklet_embeddings,
    write_csv,
    write_json_lines,
    write_mot,
    write_parquet,
    write_stays,
)


def write_result(result: TrackingResult, folder: Path, *, films: bool = True, progress: bool = False) -> TrackingResult:
    """Write FILM.txt (MOT) for every film, and tables, counts and a page for all.

    tracks.csv, tracks.parquet and tracks.jsonl hold the boxes, stays.csv from when to when everybody was in a
    camera's view, tracklets.parquet the vectors, result.json the counts
    and which frames were looked at, report.html the timeline.

    Args:
        result: what was found.
        folder: a new or empty folder.
        films: also FILM.annotated.mp4 of what is no address; the films are decoded again. After Ctrl-C: those that
            were finished.
        progress: show a bar.

    Returns:
        The result with its folder, and with notes about films that were not drawn.

    Raises:
        StorageError: writing failed; then nothing is there.
    """
    with replace_folder(folder) as place:
        for film in result.films:
            write_mot(place / f"{film.name}.txt", film.rows)
        if films:
            result = replace(result, notes=(*result.notes, *_write_films(place, result.films, progress=progress)))
        write_csv(place / "tracks.csv", result)
        write_parquet(place / "tracks.parquet", result)
        write_stays(place / "stays.csv", result)
        write_json_lines(place / "tracks.jsonl", result)
        (place / SUMMARY).write_text(json.dumps(result.to_dict(), indent=2) + "\n", "utf-8")
        vectors = tracklet_embeddings(result)
        if len(vectors):
            vectors.to_parquet(place / "tracklets.parquet")
        write_report_page(place / "report.html", result)
    return replace(result, folder=folder)


def _write_films(place: Path, films: Sequence[TrackedFilm], *, progress: bool) -> list[str]:
    """Films with boxes and numbers; what is missing, in words."""
    notes = [
        f"no film with boxes of {film.source}: an address cannot be read again"
        for film in films
        if is_address(film.source)
    ]
    again = [film for film in films if not is_address(film.source)]
    with progress_bar("drawing boxes", sum(film.frames for film in again), quiet=not progress) as bar:
        for film in again:
            bar.rename(f"drawing boxes, {film.name}")
            path = place / f"{film.name}.annotated.mp4"
            try:
                write_annotated_film(path, film, advance=bar.advance)
            except KeyboardInterrupt:
                path.unlink(missing_ok=True)
                notes.append(f"interrupted: no film with boxes from {film.name} on")
                break
    return notes

"""The folder that holds a tracking's result."""

from __future__ import annotations

import json
from pathlib import Path

from passerby.files import replace_folder
from passerby.tracking.result import TrackingResult
from passerby.tracking.track_files import SUMMARY
from passerby.tracking.writers.annotated_film import write_annotated_film
from passerby.tracking.writers.page import write_report_page
from passerby.tracking.writers.tables import tracklet_embeddings, write_csv, write_json_lines, write_mot, write_parquet


def write_result(result: TrackingResult, folder: Path, *, films: bool = False) -> Path:
    """Write FILM.txt (MOT) for every film, and tables, counts and a page for all.

    tracks.csv, tracks.parquet and tracks.jsonl hold the boxes, tracklets.parquet the vectors, result.json the counts
    and which frames were looked at, report.html the timeline.

    Args:
        result: what was found.
        folder: a new or empty folder.
        films: also FILM.annotated.mp4; the films are decoded again.

    Raises:
        StorageError: writing failed; then nothing is there.
    """
    with replace_folder(folder) as place:
        for film in result.films:
            write_mot(place / f"{film.name}.txt", film.rows)
            if films:
                write_annotated_film(place / f"{film.name}.annotated.mp4", film)
        write_csv(place / "tracks.csv", result)
        write_parquet(place / "tracks.parquet", result)
        write_json_lines(place / "tracks.jsonl", result)
        (place / SUMMARY).write_text(json.dumps(result.to_dict(), indent=2) + "\n", "utf-8")
        vectors = tracklet_embeddings(result)
        if len(vectors):
            vectors.to_parquet(place / "tracklets.parquet")
        write_report_page(place / "report.html", result)
    return folder

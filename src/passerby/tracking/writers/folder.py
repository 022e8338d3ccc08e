"""The folder that holds a tracking's result."""

from __future__ import annotations

from pathlib import Path

from passerby.files import replace_folder
from passerby.tracking.result import TrackingResult
from passerby.tracking.writers.annotated_film import write_annotated_film
from passerby.tracking.writers.page import write_report_page
from passerby.tracking.writers.tables import tracklet_embeddings, write_csv, write_mot, write_parquet


def write_result(result: TrackingResult, folder: Path, *, films: bool = False) -> Path:
    """Write FILM.txt (MOT) for every film, tracks.csv, tracks.parquet, tracklets.parquet (vectors), report.html.

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
        vectors = tracklet_embeddings(result)
        if len(vectors):
            vectors.to_parquet(place / "tracklets.parquet")
        write_report_page(place / "report.html", result)
    return folder

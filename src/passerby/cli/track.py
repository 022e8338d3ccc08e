"""`passerby track`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.output import show
from passerby.cli.setting_flags import flags_of, given
from passerby.cli.shared_parameters import Engine, Json, Threads
from passerby.config.tracking import TrackingSettings
from passerby.errors import UsageError

_File = Annotated[tuple[str, ...], Parameter(metavar="[FILM=]FILE", consume_multiple=True)]
TrackingFlags: Any = flags_of(TrackingSettings, title="tracking", prefix="--tracking.")


def track(
    films: Annotated[tuple[str, ...], Parameter(name="FILM")],
    /,
    *,
    encoder: Annotated[Path, Parameter(metavar="ENCODER")],
    out: Annotated[Path, Parameter(metavar="FOLDER")],
    detector: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    boxes: _File = (),
    cameras: Annotated[tuple[str, ...], Parameter(metavar="NAME", consume_multiple=True)] = (),
    starts: Annotated[tuple[float, ...], Parameter(metavar="SECONDS", consume_multiple=True)] = (),
    first_frame: Annotated[int | None, Parameter(metavar="N")] = None,
    threshold: Annotated[float | None, Parameter(metavar="D")] = None,
    calibration: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    truth: _File = (),
    film_out: bool = True,
    thumbnails: bool = True,
    tracking: TrackingFlags = TrackingFlags(),  # noqa: B008  (frozen)
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Follow people through films: one number a person, over time and over cameras.

    Args:
        films: Films, folders of frames, or addresses of cameras.
        encoder: What turns crops into vectors: a run, an encoder, a description, a model file, or hub:NAME.
        out: New or empty folder for FILM.txt (MOT), tracks.csv, tracks.jsonl, tracks.parquet, stays.csv,
            tracklets.parquet, result.json, report.html and FILM.annotated.mp4.
        detector: OpenVINO (.xml) or ONNX (.onnx) file of a person detector, or a .toml that describes one.
        boxes: Instead of a detector: one file of boxes a film in their order, or FILM=FILE.
        cameras: Name of each film's camera (default: the films' names).
        starts: Moment of each film's first frame, seconds.
        first_frame: Number that files of boxes (and the truth) give a film's first frame.
        threshold: Cosine distance below which two tracklets are one person's (default: the calibration).
        calibration: How to read distances: a tracklets.json, or a Parquet file of `passerby embed` with labelled people
            whom the encoder was not trained on (default: tracklets.json beside the encoder, else what is known of a
            public encoder, else its threshold).
        truth: True boxes with identities, one file a film in their order, or FILM=FILE; prints IDF1, MOTA and HOTA.
        film_out: Write the films with boxes and numbers drawn in; there is none of a camera's address.
        thumbnails: Show small pictures of people in the report.
        tracking: Settings of tracking.
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    from passerby.config.tracking import tracking_settings
    from passerby.tracking.films import is_folder

    for film in films:
        is_folder(film)  # refuses what does not exist
    source, settings = source_of(encoder, reading), tracking_settings(None, given(tracking))
    true_files, files = by_film(truth, "--truth"), by_film(boxes, "--boxes")
    check_there("a file of boxes", *paths_of(files), *paths_of(true_files))
    check_there("a detector", detector)
    check_there("a calibration", calibration)
    check_there("travel times", settings.travel_times)
    from passerby.models.engines.choice import pick_encoder
    from passerby.tracking.track import track as track_films
    from passerby.tracking.tracklet_calibration import read_calibration

    result = track_films(
        films,
        encoder=pick_encoder(source, engine, threads=threads)[0],
        detector=detector,
        boxes=files or None,
        cameras=cameras or None,
        starts=starts or None,
        out=out,
        threshold=threshold,
        calibration=None if calibration is None else read_calibration(calibration),
        first_frame=first_frame,
        film_out=film_out,
        thumbnails=thumbnails,
        settings=settings,
    )
    report = result.evaluate(true_files, first_frame=first_frame) if true_files else None
    values = {**result.to_dict(), **({"truth": report.to_dict()} if report else {})}
    show(values, as_json=json, text=str(result) if report is None else f"{result}\n{report}")


def paths_of(files: dict[str, str] | list[str]) -> list[str]:
    """The files of `by_film`."""
    return list(files.values()) if isinstance(files, dict) else files


def by_film(given: Sequence[str], flag: str) -> dict[str, str] | list[str]:
    """FILM=FILE as a dict, or a list of files.

    Raises:
        UsageError: some of both.
    """
    if not any("=" in item for item in given):
        return list(given)
    pairs = [item.partition("=") for item in given]
    wrong = [item for item, (name, _, file) in zip(given, pairs, strict=True) if not name or not file]
    if wrong:
        raise UsageError(f"{flag}: expected FILM=FILE, found {', '.join(wrong)}")
    return {name: file for name, _, file in pairs}

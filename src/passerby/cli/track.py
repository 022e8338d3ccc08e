"""The command that turns films into identities: track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from passerby.cli.arguments import Json, parse, show
from passerby.errors import UsageError
from passerby.tracking.settings import TrackingSettings


@dataclass(frozen=True)
class _TrackOptions:
    films: Positional[tuple[str, ...]]
    """Films, folders of frames, or addresses of cameras."""
    encoder: Path
    """Folder of the run or encoder that turns crops into vectors, or a description of a foreign model."""
    out: Path
    """New or empty folder for FILM.txt (MOT), tracks.csv, tracks.parquet, tracklets.parquet and report.html."""
    detector: Path | None = None
    """OpenVINO (.xml) or ONNX (.onnx) file of a person detector, or a .toml that describes one."""
    boxes: tuple[str, ...] = ()
    """Instead of a detector: FILM=FILE, or one file a film in their order."""
    cameras: tuple[str, ...] = ()
    """Name of each film's camera (default: the films' names)."""
    starts: tuple[float, ...] = ()
    """Moment of each film's first frame, seconds."""
    first_frame: int | None = None
    """Number that files of boxes (and the truth) give a film's first frame."""
    threshold: float | None = None
    """Cosine distance below which two tracklets are one person's (default: the calibration)."""
    calibration: Path | None = None
    """How to read distances: a tracklets.json, or a Parquet file of `passerby embed` with labelled people whom the
    encoder was not trained on (default: tracklets.json beside the encoder, else its threshold)."""
    truth: tuple[str, ...] = ()
    """FILM=FILE: true boxes with identities; prints IDF1, MOTA and HOTA."""
    film_out: bool = False
    """Also write the films with boxes and numbers drawn in."""
    thumbnails: bool = True
    """Show small pictures of people in the report."""
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    json: Json = False


def track(arguments: Sequence[str]) -> None:
    """Follow people through films: one number a person, over time and over cameras."""
    options = parse(_TrackOptions, arguments, "track", doc=track.__doc__)
    from passerby.tracking.track import track as track_films
    from passerby.tracking.tracklet_calibration import read_calibration

    truth = _named(options.truth, "--truth")
    result = track_films(
        options.films,
        encoder=options.encoder,
        detector=options.detector,
        boxes=_boxes(options.boxes),
        cameras=options.cameras or None,
        starts=options.starts or None,
        out=options.out,
        threshold=options.threshold,
        calibration=None if options.calibration is None else read_calibration(options.calibration),
        first_frame=options.first_frame,
        film_out=options.film_out,
        thumbnails=options.thumbnails,
        settings=options.tracking,
    )
    report = result.evaluate(truth, first_frame=options.first_frame) if truth else None
    if options.json:
        show({**result.to_dict(), **({"truth": report.to_dict()} if report else {})}, as_json=True)
    else:
        print(result if report is None else f"{result}\n{report}")


def _boxes(given: Sequence[str]) -> dict[str, str] | list[str] | None:
    if not given:
        return None
    return _named(given, "--boxes") if all("=" in item for item in given) else list(given)


def _named(given: Sequence[str], flag: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    wrong = [item for item, (name, _, file) in zip(given, pairs, strict=True) if not name or not file]
    if wrong:
        raise UsageError(f"{flag}: expected FILM=FILE, found {', '.join(wrong)}")
    return {name: file for name, _, file in pairs}

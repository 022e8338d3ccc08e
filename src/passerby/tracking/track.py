"""From films to identities: `passerby.track`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from passerby.array_types import Int64
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.config.tracking import TrackingSettings, tracking_settings
from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError, DataError
from passerby.models.encoder import Encoder, load_encoder
from passerby.plain_names import plain_key
from passerby.progress import ProgressBar, duration, progress_bar
from passerby.tracking.boxes.reading import read_boxes
from passerby.tracking.camera_means import check_camera_statistics, join_people
from passerby.tracking.detectors.detector import Detector, load_detector
from passerby.tracking.film_tracks import FilmTracks, follow_film
from passerby.tracking.films import FilmInfo, film_info, is_folder, picture_size
from passerby.tracking.result import TrackedFilm, TrackingResult, fill_gaps, identity_rows
from passerby.tracking.tracklet_calibration import TrackletCalibration, find_calibration
from passerby.tracking.tracklets import make_tracklets
from passerby.tracking.travel_times import TravelTimes, check_cameras, read_travel_times
from passerby.tracking.writers.folder import write_result

Film: TypeAlias = str | os.PathLike[str]


@takes_keywords(keywords_of(TrackingSettings))
def track(
    films: Film | Sequence[Film],
    *,
    encoder: Encoder | Film,
    detector: Detector | Film | None = None,
    boxes: Film | Sequence[Film] | Mapping[str, Film] | None = None,
    cameras: str | Sequence[str] | None = None,
    starts: Sequence[float] | None = None,
    out: Film | None = None,
    threshold: float | None = None,
    calibration: TrackletCalibration | None = None,
    first_frame: int | None = None,
    film_out: bool = True,
    thumbnails: bool = True,
    progress: bool = True,
    settings: TrackingSettings | None = None,
    **changes: Any,
) -> TrackingResult:
    """Follow people through one or more films: one number a person, over time and over cameras.

    Each film is decoded once. Boxes of a detector (or of a file) are followed from frame to frame; tracks are cut where
    people overlap; the best crops of a track become vectors; and the pieces of all films are joined by
    average linkage of what their distances say (see `stitch`).

    Args:
        films: films, folders of frames, or addresses of cameras.
        encoder: a `passerby.Encoder`, or the folder or description file of one.
        detector: an OpenVINO or ONNX file, a description of one, or a function: RGB picture -> `Detections`, or any
            object with `xyxy` [n, 4], such as `supervision.Detections`.
        boxes: instead of a detector: files of boxes, one a film in their order, or by name or camera of the film.
        cameras: one name a film; default: the films' names.
        starts: moment of each film's first frame, seconds (so that two films of one camera keep their clock).
        out: new or empty folder for the results; None writes nothing.
        threshold: cosine distance below which two tracklets count as one person's; default: the calibration.
        calibration: how to read distances; default: what lies beside the encoder, else its threshold.
        first_frame: number that files of boxes give a film's first frame.
        film_out: among them the films with boxes and numbers drawn in; the films are decoded again for it, so that
            there is none of a camera's address.
        thumbnails: keep small pictures of people for the report.
        progress: show a bar.
        settings: everything else.
        **changes: single fields of `TrackingSettings`.

    Returns:
        Who was where and when. After Ctrl-C: what was finished up to then, with a note.

    Raises:
        ConfigError: an unknown setting, both or neither of detector and boxes, or two films of a camera at one moment.
        DataError: a film or file that cannot be read, `out` that holds something, or not a single tracked person.
        EmbeddingError: nothing says how near two tracklets of one person are.
        MissingExtraError: a package of the extra `track` is not installed.
    """
    sources = [films] if isinstance(films, (str, os.PathLike)) else list(films)
    chosen = tracking_settings(settings, changes)
    names = _camera_names(sources, cameras)
    _check(sources, names, starts, detector, boxes, out)
    times = None if chosen.travel_times is None else read_travel_times(chosen.travel_times)
    if times is not None:
        check_cameras(times, names)
    model = encoder if isinstance(encoder, Encoder) else load_encoder(encoder)
    law = _calibration(model, None if isinstance(encoder, Encoder) else encoder, threshold, calibration)
    check_camera_statistics(chosen, names, law)
    finder = load_detector(detector) if isinstance(detector, (str, os.PathLike)) else detector
    files = _boxes_of_films(sources, names, boxes, first_frame)
    infos = [film_info(source, rate=chosen.rate) for source in sources]
    followed: list[FilmTracks] = []
    counts = [info.frames for info in infos]
    total = None if None in counts else sum(count or 0 for count in counts)
    with progress_bar("tracking", total, quiet=not progress) as bar:
        for place, (source, name) in enumerate(zip(sources, names, strict=True)):
            bar.rename(f"tracking {Path(source).name}" + (f", film {place + 1}/{len(infos)}" if len(infos) > 1 else ""))
            followed.append(
                follow_film(
                    source,
                    camera=name,
                    encoder=model,
                    settings=chosen,
                    detector=finder,
                    boxes=files[place],
                    start=0.0 if starts is None else float(starts[place]),
                    thumbnails=thumbnails,
                    advance=_advance(bar, infos[place]),
                )
            )
            if any(note.startswith("interrupted") for note in followed[-1].notes):
                break
    result = _join(followed, len(sources), law, times, chosen, model)
    return result if out is None else write_result(result, Path(out), films=film_out, progress=progress)


def _advance(bar: ProgressBar, film: FilmInfo) -> Callable[[int], None]:
    """Counts frames, and says where in the film they are."""
    rate = film.rate / film.step
    length = "" if film.frames is None else f" of {duration(film.frames / rate)}"
    seen = 0

    def advance(frames: int) -> None:
        nonlocal seen
        seen += frames
        bar.advance(frames, f"at {duration(seen / rate)}{length}")

    return advance


def _camera_names(sources: Sequence[Film], cameras: str | Sequence[str] | None) -> list[str]:
    if cameras is None:
        names = [Path(source).stem for source in sources]
        if len(set(names)) < len(names):
            raise DataError(f"films of the same name ({', '.join(names)}): name their cameras with cameras=")
    else:
        names = [cameras] if isinstance(cameras, str) else list(cameras)
        if len(names) != len(sources):
            raise DataError(f"{len(names)} cameras for {len(sources)} films; expected one name a film")
    written: dict[str, str] = {}
    return [written.setdefault(plain_key(name), name) for name in names]


def _check(
    sources: Sequence[Film], cameras: Sequence[str], starts: Any, detector: Any, boxes: Any, out: Film | None
) -> None:
    if not sources:
        raise DataError("track: expected at least one film, found none")
    for source in sources:
        is_folder(source)  # refuses what does not exist
    if (detector is None) == (boxes is None):
        raise ConfigError("track: give a detector or boxes, one of the two")
    if starts is not None and len(starts) != len(sources):
        raise DataError(f"{len(starts)} starts for {len(sources)} films; expected one a film")
    moments = list(zip(cameras, [0.0] * len(sources) if starts is None else map(float, starts), strict=True))
    twice = next((camera for camera, moment in moments if moments.count((camera, moment)) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"track: two films of the camera {twice} begin at one moment; say when each begins with starts, or that "
            "they are of two cameras"
        )
    if out is not None and Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise DataError(f"{out} is not an empty folder; results are not mixed with anything")
    stems = [Path(source).stem for source in sources]
    if out is not None and len(set(stems)) < len(stems):
        raise DataError(f"films of the same name ({', '.join(stems)}): their results would be one file; rename one")


def _calibration(
    encoder: Encoder, location: Film | None, threshold: float | None, calibration: TrackletCalibration | None
) -> TrackletCalibration:
    if threshold is not None:
        return TrackletCalibration.of_threshold(threshold, fingerprint=encoder.fingerprint)
    if calibration is not None:
        if calibration.fingerprint not in ("", encoder.fingerprint):
            raise ConfigError(
                f"track: a calibration of the encoder {calibration.fingerprint}, but the encoder is "
                f"{encoder.fingerprint}; calibrate_tracklets makes one of its vectors"
            )
        return calibration
    return find_calibration(encoder, location)


def _boxes_of_films(sources: Sequence[Film], cameras: Sequence[str], boxes: Any, first: int | None) -> list[Any]:
    if boxes is None:
        return [None] * len(sources)
    if isinstance(boxes, Mapping):
        keys = [next((k for k in (Path(s).stem, c) if k in boxes), None) for s, c in zip(sources, cameras, strict=True)]
        files = [None if key is None else boxes[key] for key in keys]
        if None in keys or len(set(keys)) < len(sources) or len(boxes) != len(sources):
            stems = ", ".join(Path(source).stem for source in sources)
            raise DataError(f"boxes of {', '.join(boxes)}; expected one file for each of {stems}")
    else:
        files = [boxes] if isinstance(boxes, (str, os.PathLike)) else list(boxes)
        if len(files) != len(sources):
            raise DataError(f"{len(files)} files of boxes for {len(sources)} films; expected one a film")
    return [
        read_boxes(file, first_frame=first, size=partial(picture_size, source))
        for file, source in zip(files, sources, strict=True)
        if file is not None
    ]


def _join(
    followed: Sequence[FilmTracks],
    wanted: int,
    law: TrackletCalibration,
    travel_times: TravelTimes | None,
    settings: TrackingSettings,
    encoder: Encoder,
) -> TrackingResult:
    tracklets: list[Tracklet] = []
    places: list[Int64] = []
    for film in followed:
        found, pieces = make_tracklets(
            film.tracks, film.crops, settings, camera=film.camera, source=film.name, dim=encoder.dim
        )
        places.append(pieces + len(tracklets))
        tracklets += found
    if not tracklets:
        said = [f"{count:,} {reason}" for film in followed for reason, count in film.skipped.items()]
        reasons = "; ".join([*said, *dict.fromkeys(note for film in followed for note in film.notes)])
        raise DataError(
            f"{', '.join(film.source for film in followed)}: nobody was tracked ({reasons or 'no person was detected'})"
        )
    joined, notes = join_people(tracklets, law, settings, travel_times=travel_times)
    identities = joined + 1
    decided = np.array([t.vector is not None and t.quality >= settings.least_quality for t in tracklets])
    if travel_times is not None:
        notes.append(f"travel times between {', '.join(sorted({c for pair in travel_times for c in pair}))}")
    notes += _films_at_once(followed)
    if len(followed) < wanted:
        notes.append(f"interrupted: {wanted - len(followed)} film(s) were not begun")
    films = tuple(_film(film, place, identities, settings) for film, place in zip(followed, places, strict=True))
    return TrackingResult(films, tuple(tracklets), identities, decided, encoder.fingerprint, tuple(notes))


def _films_at_once(followed: Sequence[FilmTracks]) -> list[str]:
    """Films of one camera whose moments overlap, which a camera cannot give."""
    spans = [(f.camera, f.name, f.tracks.times.min(), f.tracks.times.max()) for f in followed if len(f.tracks)]
    return [
        f"{first[1]} and {second[1]} of the camera {first[0]} overlap in time; are their starts right?"
        for first, second in combinations(spans, 2)
        if first[0] == second[0] and first[2] < second[3] and second[2] < first[3]
    ]


def _film(film: FilmTracks, tracklets: Int64, identities: Int64, settings: TrackingSettings) -> TrackedFilm:
    tracks = film.tracks
    rows = identity_rows(tracks.frames, tracks.times, tracks.boxes, tracks.scores, tracklets, identities)
    skipped = dict(film.skipped)
    if len(rows) < len(tracks):
        skipped["boxes of an identity that has a more certain one in the frame"] = len(tracks) - len(rows)
    if settings.fill_seconds:
        rows = fill_gaps(rows, seconds=settings.fill_seconds, step=film.step)
    return TrackedFilm(
        film.source,
        film.name,
        film.camera,
        film.frames,
        film.rate,
        film.step,
        film.size,
        rows,
        skipped,
        tuple(film.notes),
        film.info.first,
        film.bits,
    )

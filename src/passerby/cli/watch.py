"""`passerby watch`."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.open_gallery import no_gallery_left_by_failure, open_gallery
from passerby.cli.output import plain
from passerby.cli.setting_flags import given
from passerby.cli.shared_parameters import AcceptBelow, AskedRate, Engine, GalleryEncoder, Threads
from passerby.cli.track import TrackingFlags
from passerby.errors import UsageError


def watch(
    source: Annotated[str, Parameter(help="A film, a folder of frames, or a camera's address.")],
    /,
    *,
    gallery: Annotated[str, Parameter(metavar="GALLERY")],
    encoder: GalleryEncoder,
    camera: Annotated[str, Parameter(metavar="NAME")],
    detector: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    boxes: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    first_frame: Annotated[int | None, Parameter(metavar="N")] = None,
    start: Annotated[float | None, Parameter(metavar="SECONDS")] = None,
    speed: Annotated[float | None, Parameter(metavar="X")] = None,
    piece_seconds: Annotated[float, Parameter(metavar="SECONDS")] = 10.0,
    least_boxes: Annotated[int, Parameter(metavar="N")] = 3,
    threshold: AcceptBelow = None,
    far: AskedRate = None,
    resume: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    retry_seconds: Annotated[float, Parameter(metavar="SECONDS")] = 5.0,
    retries: Annotated[int | None, Parameter(metavar="N")] = None,
    thumbnails: bool = True,
    with_boxes: bool = False,
    tracking: TrackingFlags = TrackingFlags(),  # noqa: B008  (frozen)
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
) -> None:
    """Watch a film or a camera: who is seen, sighting by sighting, as JSON lines on stdout.

    Events are `begin`, `sighting`, `lost` and `back` (a camera went away or came back) and `end` with the counts.
    Ctrl-C ends the watch after the verdicts on everybody in sight; a second one ends it at once.

    Args:
        source: A film, a folder of frames, or a camera's address.
        gallery: Gallery that says who it is, made where there is none; unknown people are enrolled as such.
        encoder: see `GalleryEncoder`.
        camera: Name that sightings are stored under.
        detector: OpenVINO (.xml) or ONNX (.onnx) file of a person detector, or a .toml that describes one.
        boxes: Instead of a detector: a file of boxes.
        first_frame: Number that the file of boxes gives the film's first frame.
        start: Moment of the first frame, seconds (default: 0 for films, the clock for cameras).
        speed: Seconds of film in a second of the clock, as if it were a camera (default: as fast as possible).
        piece_seconds: Longest time to a verdict.
        least_boxes: A piece of a track with fewer boxes gets no verdict.
        threshold: see `AcceptBelow`.
        far: see `AskedRate`.
        resume: File that says how far the film was watched: read if it exists, written with every sighting.
        retry_seconds: Pause before a camera that went away is opened again; it doubles up to a minute.
        retries: Failures in a row after which a camera is given up (default: never).
        thumbnails: Keep a small picture of unknown people in the gallery.
        with_boxes: Also print the frames and boxes of every sighting, for `passerby evaluate-tracks`.
        tracking: Settings of tracking.
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
    """
    if threshold is not None and far is not None:
        raise UsageError("--far does nothing beside --threshold: give one of the two")
    from passerby.config.tracking import watching_settings
    from passerby.tracking.films import is_folder

    is_folder(source)  # before a gallery is made
    chosen = watching_settings(None, given(tracking))
    encoding = source_of(encoder, reading)
    check_there("a file of boxes", boxes)
    check_there("a detector", detector)
    from passerby.tracking.watch import WatchCounts
    from passerby.tracking.watch import watch as watch_film

    counts = WatchCounts()
    with (
        no_gallery_left_by_failure(gallery),
        open_gallery(
            gallery, encoding, engine=engine, threads=threads, make=True, far=far, override_far=True
        ) as opened,
        _stopped_by_signals() as stop,
    ):
        sightings = watch_film(
            source,
            opened,
            camera=camera,
            detector=detector,
            boxes=boxes,
            first_frame=first_frame,
            start=start,
            speed=speed,
            piece_seconds=piece_seconds,
            least_boxes=least_boxes,
            threshold=threshold,
            resume=resume,
            retry_seconds=retry_seconds,
            retries=retries,
            thumbnails=thumbnails,
            counts=counts,
            report=lambda event: _print(asdict(event)),
            stop=stop,
            settings=chosen,
        )
        _print({"event": "begin", "camera": camera, "source": source, "every": chosen.every})
        for sighting in sightings:
            _print(sighting.to_dict(boxes=with_boxes))
        _print({"event": "end", "camera": camera, **asdict(counts)})


def _print(line: Mapping[str, Any]) -> None:
    print(json.dumps(plain(line), allow_nan=False), flush=True)


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came; a second one has its usual effect."""
    asked = False
    signals = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        restore()

    def restore() -> None:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)

    before = [signal.getsignal(one) for one in signals]
    for one in signals:
        signal.signal(one, ask)
    try:
        yield lambda: asked
    finally:
        restore()

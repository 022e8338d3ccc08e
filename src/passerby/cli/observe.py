"""`passerby observe`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.open_gallery import no_gallery_left_by_failure, open_gallery
from passerby.cli.output import show
from passerby.cli.shared_parameters import (
    AcceptBelow,
    AskedRate,
    Camera,
    Engine,
    GalleryEncoder,
    GalleryLocation,
    Images,
    Json,
    Moment,
    Threads,
    Tracklet,
)
from passerby.errors import UsageError


def observe(
    gallery: GalleryLocation,
    images: Images,
    /,
    *,
    encoder: GalleryEncoder,
    camera: Camera = None,
    time: Moment = None,
    keep: Annotated[bool, Parameter(negative=())] = False,
    once_per_instant: bool = True,
    threshold: AcceptBelow = None,
    far: AskedRate = None,
    tracklet: Tracklet = False,
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Identify, and enrol whoever is unknown as a new identity ("unknown-1", "unknown-2", ...).

    Args:
        gallery: see `GalleryLocation`.
        images: see `Images`.
        encoder: see `GalleryEncoder`.
        camera: see `Camera`.
        time: see `Moment`.
        keep: Also add the images of people who are recognised (their identity then drifts with them).
        once_per_instant: Nobody is seen twice by one camera at one TIME (unless TIME is a day).
        threshold: see `AcceptBelow`.
        far: see `AskedRate`.
        tracklet: see `Tracklet`.
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if threshold is not None and far is not None:
        raise UsageError("--far does nothing beside --threshold: give one of the two")
    probes: list[Any] = [list(images)] if tracklet else list(images)
    source = source_of(encoder, reading)
    check_there("a picture", *images)
    with (
        no_gallery_left_by_failure(gallery),
        open_gallery(
            gallery, source, engine=engine, threads=threads, images=len(images), make=True, far=far, override_far=True
        ) as opened,
    ):
        sightings = [
            opened.observe(
                probe, camera=camera, time=time, keep=keep, once_per_instant=once_per_instant, threshold=threshold
            )
            for probe in probes
        ]
    names = [", ".join(map(str, images))] if tracklet else [str(path) for path in images]
    rows = [{"probe": name, **asdict(sighting)} for name, sighting in zip(names, sightings, strict=True)]
    text = "\n\n".join(f"{name}\n{sighting}" for name, sighting in zip(names, sightings, strict=True))
    show(rows, as_json=json, text=text)

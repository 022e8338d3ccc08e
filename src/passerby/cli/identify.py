"""`passerby identify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.open_gallery import open_gallery
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
    Tracklet,
)
from passerby.errors import UsageError


def identify(
    gallery: GalleryLocation,
    images: Images,
    /,
    *,
    encoder: GalleryEncoder,
    camera: Camera = None,
    exclude_camera: bool = True,
    after: Annotated[str | None, Parameter(metavar="TIME")] = None,
    before: Annotated[str | None, Parameter(metavar="TIME")] = None,
    threshold: AcceptBelow = None,
    far: AskedRate = None,
    top: Annotated[int, Parameter(metavar="N")] = 10,
    score: Literal["min", "mean", "centroid"] = "min",
    tracklet: Tracklet = False,
    engine: Engine = "auto",
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Who is this? Ranked candidates, or unknown; changes nothing.

    Args:
        gallery: see `GalleryLocation`.
        images: Image files, each of a person of its own.
        encoder: see `GalleryEncoder`.
        camera: Camera that took the images.
        exclude_camera: Leave out what the gallery has from the images' own camera, as in re-ID evaluation.
        after: Only observations from then on.
        before: Only observations until then.
        threshold: see `AcceptBelow`.
        far: see `AskedRate`.
        top: Candidates to list.
        score: How the distances to an identity's observations become one number.
        tracklet: see `Tracklet`.
        engine: see `Engine`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if camera is None and not exclude_camera:
        raise UsageError("--no-exclude-camera goes with --camera: without one, nothing is left out")
    if threshold is not None and far is not None:
        raise UsageError("--far does nothing beside --threshold: give one of the two")
    probes: list[Any] = [list(images)] if tracklet else list(images)
    source = source_of(encoder, reading)
    with open_gallery(gallery, source, engine=engine, images=len(images), far=far, override_far=True) as opened:
        found = [
            opened.identify(
                probe,
                camera=camera,
                exclude_camera=exclude_camera,
                after=after,
                before=before,
                threshold=threshold,
                top=top,
                score=score,
            )
            for probe in probes
        ]
    names = [", ".join(map(str, images))] if tracklet else [str(path) for path in images]
    show(
        [{"probe": name, **asdict(one)} for name, one in zip(names, found, strict=True)],
        as_json=json,
        text="\n\n".join(f"{name}\n{one}" for name, one in zip(names, found, strict=True)),
    )

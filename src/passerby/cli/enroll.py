"""`passerby enroll`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import show
from passerby.cli.shared_parameters import (
    Camera,
    Engine,
    GalleryEncoder,
    GalleryLocation,
    Images,
    Json,
    Moment,
    Name,
    Tracklet,
)


def enroll(
    gallery: GalleryLocation,
    name: Name,
    images: Images,
    /,
    *,
    encoder: GalleryEncoder,
    camera: Camera = None,
    time: Moment = None,
    notes: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    consent: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    expires: Annotated[str | None, Parameter(metavar="TIME")] = None,
    tracklet: Tracklet = False,
    engine: Engine = "auto",
    reading: Reading = EncoderFlags(),
    far: Annotated[float | None, Parameter(metavar="RATE")] = None,
    json: Json = False,
) -> None:
    """Add images of a known person to a gallery, which is made if there is none.

    Args:
        gallery: see `GalleryLocation`.
        name: see `Name`.
        images: see `Images`.
        encoder: see `GalleryEncoder`.
        camera: see `Camera`.
        time: see `Moment`.
        notes: Free text about the person.
        consent: What consent there is, and where it is written down.
        expires: Retention date, after which `passerby gallery purge` forgets the person.
        tracklet: see `Tracklet`.
        engine: see `Engine`.
        reading: How to read a model file that does not describe itself.
        far: False accept rate that a new gallery is asked for, 0.01 for 1 % (the default).
        json: see `Json`.
    """
    source = source_of(encoder, reading)
    with open_gallery(gallery, source, engine=engine, images=len(images), make=True, far=far) as opened:
        added = opened.enroll(
            name,
            list(images),
            camera=camera,
            time=time,
            notes=notes,
            consent=consent,
            expires=expires,
            tracklet=tracklet,
        )
    text = f"{name}: {len(images)} images enrolled in {gallery}"
    show({"identity": name, "observations": added}, as_json=json, text=text)

"""`passerby enroll`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.open_gallery import no_gallery_left_by_failure, open_gallery
from passerby.cli.output import show
from passerby.cli.retention import coming_date
from passerby.cli.shared_parameters import (
    Camera,
    Engine,
    GalleryEncoder,
    GalleryLocation,
    Json,
    Moment,
    Threads,
    Tracklet,
)
from passerby.errors import UsageError


def enroll(
    gallery: GalleryLocation,
    name: Annotated[str | None, Parameter(help="Name of the person; without --people.")] = None,
    images: Annotated[tuple[Path, ...], Parameter(name="IMAGE", help="One or more image files of the person.")] = (),
    /,
    *,
    people: Annotated[Path | None, Parameter(metavar="FOLDER|TABLE")] = None,
    encoder: GalleryEncoder,
    camera: Camera = None,
    time: Moment = None,
    notes: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    consent: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    expires: Annotated[str | None, Parameter(metavar="TIME")] = None,
    tracklet: Tracklet = False,
    keep_repeated: Annotated[bool, Parameter(negative=())] = False,
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    far: Annotated[float | None, Parameter(metavar="RATE")] = None,
    json: Json = False,
) -> None:
    """Add images of a known person, or of many people, to a gallery, which is made if there is none.

    Args:
        gallery: see `GalleryLocation`.
        name: see its help.
        images: see its help.
        people: Many people: a folder NAME/*.jpg or NAME/CAMERA/*.jpg, or a .csv or .parquet file with the columns path,
            name, and perhaps camera and time.
        encoder: see `GalleryEncoder`.
        camera: see `Camera`.
        time: see `Moment`.
        notes: Free text about the person.
        consent: What consent there is, and where it is written down.
        expires: Retention date, after which `passerby gallery purge` forgets the person.
        tracklet: see `Tracklet`.
        keep_repeated: Also add pictures that the person has already (default: they are left out and counted).
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
        far: False accept rate that a new gallery is asked for, 0.01 for 1 % (the default).
        json: see `Json`.
    """
    _check_who(gallery, name, images, people, tracklet)
    described: dict[str, Any] = {"notes": notes, "consent": consent, "expires": coming_date(expires)}
    source = source_of(encoder, reading)
    check_there("a picture", *images)
    if people is not None:
        from passerby.gallery.enroll_people import enroll_people
        from passerby.gallery.people_files import read_people

        found = read_people(people)  # before a gallery is made
        pictures = len(found.pictures)
        with (
            no_gallery_left_by_failure(gallery),
            open_gallery(
                gallery, source, engine=engine, threads=threads, images=pictures, make=True, far=far
            ) as opened,
        ):
            enrolled = enroll_people(
                opened, people, camera=camera, time=time, skip_repeated=not keep_repeated, **described
            )
            total = f"{gallery}: {len(opened):,} people, {opened.observation_count:,} pictures"
        show(enrolled, as_json=json, text=f"{enrolled}\n{total}")
        return
    with (
        no_gallery_left_by_failure(gallery),
        open_gallery(gallery, source, engine=engine, threads=threads, images=len(images), make=True, far=far) as opened,
    ):
        added = opened.enroll(
            str(name),
            list(images),
            camera=camera,
            time=time,
            tracklet=tracklet,
            skip_repeated=not keep_repeated,
            **described,
        )
    given = 1 if tracklet else len(images)
    repeated = given - len(added)
    what = "tracklet" if tracklet else "image" if len(added) == 1 else "images"
    text = f"{name}: {len(added)} {what} enrolled in {gallery}"
    if repeated:
        text += f"\nleft out: {repeated} (the same picture of the same person; --keep-repeated adds it)"
    show({"identity": name, "observations": added, "repeated": repeated}, as_json=json, text=text)


def _check_who(gallery: str, name: str | None, images: tuple[Path, ...], people: Path | None, tracklet: bool) -> None:
    if people is None:
        if name is None:
            raise UsageError(f"{gallery}: nobody to enrol; give NAME and IMAGE, or many people with --people FOLDER")
        if not images:
            raise UsageError("missing: IMAGE (see `passerby enroll --help`)")
    elif name is not None:
        raise UsageError(f"--people does not go with NAME ({name!r}): the folder or table names the people")
    elif tracklet:
        raise UsageError("--tracklet does not go with --people: every picture is one of its own")

"""`passerby gallery`: sightings, import-sightings, find-sightings, keep-sightings, thin-templates, consolidate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import iso_time, show, table
from passerby.cli.shared_parameters import Engine, GalleryEncoder, GalleryLocation, Images, Json, Threads
from passerby.errors import GalleryRequestError

if TYPE_CHECKING:
    from passerby.gallery.result_types import Sighting

Cameras: TypeAlias = Annotated[tuple[str, ...], Parameter(name="--camera", metavar="NAME", help="By these cameras.")]
After: TypeAlias = Annotated[str | None, Parameter(metavar="TIME", help="From this moment on.")]
Before: TypeAlias = Annotated[str | None, Parameter(metavar="TIME", help="Up to this moment.")]
_DAY = 86_400


def sightings(
    gallery: GalleryLocation,
    name: Annotated[str | None, Parameter(help="Of this person only.")] = None,
    /,
    *,
    camera: Cameras = (),
    after: After = None,
    before: Before = None,
    newest: Annotated[int | None, Parameter(metavar="N", help="The newest so many only.")] = None,
    to: Annotated[Path | None, Parameter(metavar="FILE", help="Write all of them to FILE (.parquet or .csv).")] = None,
    json: Json = False,
) -> None:
    """Who was seen by which camera, when, in the order of time."""
    with open_gallery(gallery, read_only=True) as opened:
        if to is not None:
            if newest is not None:
                raise GalleryRequestError("sightings: --newest does nothing beside --to, which writes all; pass one")
            count = opened.export_sightings(to, name, camera=camera, after=after, before=before)
            result = {"gallery": gallery, "file": str(to), "sightings": count}
            show(result, as_json=json, text=f"{count:,} sightings written to {to}")
            return
        found = opened.sightings(name, camera=camera, after=after, before=before, newest=newest)
    show(found, as_json=json, text=table([sighting_row(one) for one in found], empty=f"{gallery}: no sightings"))


def import_sightings(
    gallery: GalleryLocation,
    file: Annotated[Path, Parameter(help="Parquet or CSV, as `passerby gallery sightings --to` writes it.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Add sightings of people who are in the gallery; those that are there already are left out."""
    with open_gallery(gallery) as opened:
        found = opened.import_sightings(file)
    show({"gallery": gallery, "file": str(file), **asdict(found)}, as_json=json, text=f"{gallery}: {found}")


def find_sightings(
    gallery: GalleryLocation,
    images: Images,
    /,
    *,
    encoder: GalleryEncoder,
    camera: Cameras = (),
    after: After = None,
    before: Before = None,
    top: Annotated[int, Parameter(metavar="N", help="How many.")] = 20,
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Rank all past sightings by likeness to a person (several images: one tracklet of one person)."""
    source = source_of(encoder, reading)
    check_there("a picture", *images)
    with open_gallery(gallery, source, engine=engine, threads=threads, images=len(images), read_only=True) as opened:
        found = opened.find_sightings(list(images), camera=camera, after=after, before=before, top=top)
    show(found, as_json=json)


def keep_sightings(
    gallery: GalleryLocation,
    /,
    *,
    vectors: Annotated[
        bool | None, Parameter(help="Store their vectors, for find-sightings; --no-vectors also erases those stored.")
    ] = None,
    days: Annotated[
        float | Literal["never"] | None,
        Parameter(metavar="DAYS", help='Purge erases a sighting after so many days; "never": with its identity only.'),
    ] = None,
    templates: Annotated[
        int | Literal["any"] | None,
        Parameter(metavar="N", help='Most observations of a person and camera that observe stores; or "any".'),
    ] = None,
    json: Json = False,
) -> None:
    """Show or set what is stored of sightings, and how long."""
    changes = vectors is not None or days is not None or templates is not None
    with open_gallery(gallery, read_only=not changes) as opened:
        if changes:
            opened.set_sightings(
                keep_vectors=vectors,
                expire_after=None if days is None else "never" if days == "never" else float(days) * _DAY,
                templates_per_camera=templates,
            )
        after, kept, most = opened.sightings_expire_after, opened.keep_sighting_vectors, opened.templates_per_camera
    result = {"vectors": kept, "days": None if after is None else after / _DAY, "templates": most}
    lasting = "as long as their identity" if after is None else f"for {after / _DAY:g} days (erased by purge)"
    text = (
        f"sightings stay {lasting}; their vectors are {'stored' if kept else 'not stored'}; observe stores "
        f"{'any number of' if most is None else f'at most {most}'} observations of a person and camera"
    )
    show(result, as_json=json, text=text)


def thin_templates(
    gallery: GalleryLocation,
    name: Annotated[str | None, Parameter(help="Of this person only.")] = None,
    /,
    *,
    most: Annotated[
        int | None,
        Parameter(metavar="N", help="How many of a person and camera stay (default: as keep-sightings says)."),
    ] = None,
    apply: Annotated[bool, Parameter(negative=(), help="Take the others away; one undo brings them back.")] = False,
    json: Json = False,
) -> None:
    """Leave few observations of each person and camera, the most unlike each other."""
    with open_gallery(gallery, read_only=not apply) as opened:
        found = opened.thin_templates(most, identity=name, apply=apply)
    show(found, as_json=json)


def consolidate(
    gallery: GalleryLocation,
    /,
    *,
    least: Annotated[
        float, Parameter(metavar="SIMILARITY", help="From here on tracklets are of one person, 0 to 1.")
    ] = 0.4,
    apply: Annotated[bool, Parameter(negative=(), help="Make them one; one undo takes all of it back.")] = False,
    json: Json = False,
) -> None:
    """Which unknowns are one person, by the neighbours that their tracklets share; never two seen at once."""
    with open_gallery(gallery, read_only=not apply) as opened:
        found = opened.consolidate(least=least, apply=apply)
    show(found, as_json=json)


def sighting_row(sighting: Sighting) -> dict[str, Any]:
    """One sighting as a line of a table."""
    span = (sighting.first_frame, sighting.last_frame)
    return {
        "id": sighting.id,
        "identity": sighting.identity,
        "new": sighting.new,
        "camera": sighting.camera,
        "from": iso_time(sighting.start),
        "to": iso_time(sighting.end),
        "distance": sighting.distance,
        "p": sighting.p_value,
        "frames": sighting.frames,
        "source": sighting.source,
        "in source": "" if None in span else f"{span[0]}-{span[1]}",
    }

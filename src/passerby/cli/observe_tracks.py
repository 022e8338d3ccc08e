"""`passerby observe-tracks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, source_of
from passerby.cli.gallery_sightings import sighting_row
from passerby.cli.open_gallery import no_gallery_left_by_failure, open_gallery
from passerby.cli.output import show, table
from passerby.cli.shared_parameters import AcceptBelow, Engine, GalleryEncoder, GalleryLocation, Json, Threads


def observe_tracks(
    gallery: GalleryLocation,
    manifest: Annotated[Path, Parameter(help="CSV or Parquet: path, camid, time, tracklet (and frame, source).")],
    /,
    *,
    encoder: GalleryEncoder,
    views: Annotated[int, Parameter(metavar="N")] = 8,
    keep: Annotated[bool, Parameter(negative=())] = False,
    threshold: AcceptBelow = None,
    engine: Engine = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Observe tracks of people, in the order of time; nobody is two tracks of one camera at once.

    Args:
        gallery: see `GalleryLocation`.
        manifest: see its help.
        encoder: see `GalleryEncoder`.
        views: Pictures of a track that are compared, spread evenly.
        keep: Also add the images of people who are recognised (their identity then drifts with them).
        threshold: see `AcceptBelow`.
        engine: see `Engine`.
        threads: see `Threads`.
        json: see `Json`.
    """
    from passerby.tracking.observe_tracks import observe_tracks as run_observe
    from passerby.tracking.track_manifest import read_tracks

    source = source_of(encoder, EncoderFlags())
    images = sum(min(len(track.pictures), views) for track in read_tracks(manifest))  # before a gallery is made
    with (
        no_gallery_left_by_failure(gallery),
        open_gallery(gallery, source, engine=engine, threads=threads, images=images, make=True) as opened,
    ):
        found = run_observe(manifest, opened, views=views, keep=keep, threshold=threshold)
    people = len({sighting.identity for sighting in found})
    new = sum(sighting.new for sighting in found)
    text = table([sighting_row(sighting) for sighting in found], empty="")
    show(found, as_json=json, text=f"{text}\n{len(found):,} tracks of {people:,} people, {new:,} of them new")

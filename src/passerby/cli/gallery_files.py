"""`passerby gallery`: check, compact, backup, restore, export, import, migrate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.exit_codes import FAILED
from passerby.cli.open_gallery import no_gallery_left_by_failure, open_gallery
from passerby.cli.output import show
from passerby.cli.shared_parameters import GalleryLocation, Json
from passerby.errors import DamagedGalleryError, GalleryError

NewFile: TypeAlias = Annotated[Path, Parameter(help="The new file.")]


def check(gallery: GalleryLocation, /, *, json: Json = False) -> int:
    """Read and verify everything; a damaged gallery ends with exit code 1."""
    try:
        with open_gallery(gallery, read_only=True) as opened:
            opened.check()
            count, pending = opened.observation_count, opened.pending_erasure
    except DamagedGalleryError as error:
        show(
            {"gallery": gallery, "sound": False, "fault": str(error), "pending": None},
            as_json=json,
            text=f"damaged: {error}",
        )
        return FAILED
    result = {"gallery": gallery, "sound": True, "fault": None, "pending": pending or None, "observations": count}
    erasure = f"; erasure is pending: {pending}" if pending else ""
    show(result, as_json=json, text=f"{gallery}: sound, {count:,} observations{erasure}")
    return 0


def compact(gallery: GalleryLocation, /, *, json: Json = False) -> None:
    """Give the space of forgotten observations back to the file system."""
    with open_gallery(gallery) as opened:
        opened.compact()
        count = opened.observation_count
    show(
        {"gallery": gallery, "observations": count}, as_json=json, text=f"{gallery}: compacted, {count:,} observations"
    )


def backup(gallery: GalleryLocation, file: NewFile, /, *, json: Json = False) -> None:
    """Copy a gallery while it is in use."""
    with open_gallery(gallery) as opened:
        opened.backup(file)
        count = opened.observation_count
    result = {"gallery": gallery, "backup": str(file), "observations": count}
    show(result, as_json=json, text=f"{gallery}: {count:,} observations copied to {file}")


def restore(
    backup: Annotated[Path, Parameter(help="What `passerby gallery backup` wrote; it stays as it is.")],
    gallery: GalleryLocation,
    /,
    *,
    replace: Annotated[bool, Parameter(help="Also where there is a gallery, whose content is lost then.")] = False,
    json: Json = False,
) -> None:
    """Bring a backup back as a gallery that no program has open."""
    from passerby.gallery.gallery import Gallery

    Gallery.restore(backup, gallery, replace=replace)
    with open_gallery(gallery, read_only=True) as opened:
        count = opened.observation_count
    result = {"gallery": gallery, "backup": str(backup), "observations": count}
    show(result, as_json=json, text=f"{gallery}: {count:,} observations brought back from {backup}")


def salvage(
    damaged: Annotated[Path, Parameter(help="The damaged file; it stays as it is.")],
    gallery: Annotated[str, Parameter(help="The new gallery.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Save what can still be read of a damaged gallery into a new one."""
    from passerby.gallery.gallery import Gallery

    found = Gallery.salvage(damaged, gallery)
    show(asdict(found), as_json=json, text=f"{damaged} -> {gallery}: {found}")


def export_parquet(gallery: GalleryLocation, file: NewFile, /, *, json: Json = False) -> None:
    """Write identities, vectors, cameras, times and thumbnails as Parquet."""
    with open_gallery(gallery) as opened:
        count = opened.export_parquet(file)
    result = {"gallery": gallery, "file": str(file), "observations": count}
    show(result, as_json=json, text=f"{count:,} observations written to {file}")


def import_parquet(
    gallery: GalleryLocation,
    file: Annotated[Path, Parameter(help="What `passerby gallery export` wrote.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Add what `passerby gallery export` wrote; identities of the same name are joined."""
    if not file.is_file():  # else an empty gallery would be left behind
        raise GalleryError(f"{file}: no such file; expected what `passerby gallery export` wrote")
    with no_gallery_left_by_failure(gallery), open_gallery(gallery, make=True) as opened:
        count = opened.import_parquet(file)
    result = {"gallery": gallery, "file": str(file), "observations": count}
    show(result, as_json=json, text=f"{count:,} observations added to {gallery}")


def migrate(
    gallery: GalleryLocation,
    target: Annotated[str, Parameter(help="Where to: a file or milvus://HOST:PORT/NAME, empty or not there yet.")],
    /,
    *,
    storage: Annotated[
        Literal["float32", "float16"], Parameter(help="Numbers of the vectors in a new file.")
    ] = "float32",
    json: Json = False,
) -> None:
    """Copy a gallery into another store, log included, and verify the copy."""
    from passerby.gallery.migrate import migrate as run_migrate

    migration = run_migrate(gallery, target, storage=storage)
    show(asdict(migration), as_json=json, text=str(migration))

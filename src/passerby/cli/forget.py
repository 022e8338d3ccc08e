"""`passerby forget`."""

from __future__ import annotations

from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import show
from passerby.cli.shared_parameters import GalleryLocation, Json, Name


def forget(gallery: GalleryLocation, name: Name, /, *, json: Json = False) -> None:
    """Erase a person: vectors, thumbnails and names are removed from every byte of the gallery's files."""
    with open_gallery(gallery) as opened:
        show(opened.forget(name), as_json=json)

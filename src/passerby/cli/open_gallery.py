"""Opening the gallery that a command names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from passerby.errors import GalleryError

if TYPE_CHECKING:
    from passerby.gallery.gallery import Gallery


def open_gallery(location: str, encoder: Path | None = None, *, make: bool = False, read_only: bool = False) -> Gallery:
    """Open a gallery.

    Args:
        location: a file, or milvus://HOST:PORT/NAME.
        encoder: folder of the run or encoder, where images come in.
        make: make it where there is none.
        read_only: refuse every change.

    Raises:
        GalleryError: there is none, or it cannot be opened.
        WeightsError: no encoder in that folder.
    """
    if not make and "://" not in location and not Path(location).exists():
        raise GalleryError(f"{location}: no such gallery; `passerby enroll` makes one")
    from passerby.gallery.gallery import Gallery

    if encoder is None:
        return Gallery.open(location, read_only=read_only)
    from passerby.models.encoder import load_encoder

    return Gallery.open(location, load_encoder(encoder), read_only=read_only)

"""Opening the gallery that a command names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from passerby.errors import GalleryError

if TYPE_CHECKING:
    from passerby.gallery.gallery import Gallery


def open_gallery(
    location: str,
    encoder: Path | None = None,
    *,
    make: bool = False,
    read_only: bool = False,
    far: float | None = None,
    override_far: bool = False,
    guaranteed: bool = False,
) -> Gallery:
    """Open a gallery.

    Args:
        location: a file, or milvus://HOST:PORT/NAME.
        encoder: folder of the run or encoder, where images come in.
        make: make it where there is none.
        read_only: refuse every change.
        far: asked false accept rate; of an existing gallery it must be the stored one, unless `override_far`.
        override_far: use `far` for this command only.
        guaranteed: see `Gallery.open`.

    Raises:
        GalleryError: there is none, or it cannot be opened.
        WeightsError: no encoder in that folder.
    """
    if not make and "://" not in location and not Path(location).exists():
        raise GalleryError(f"{location}: no such gallery; `passerby enroll` makes one")
    from passerby.gallery.gallery import Gallery

    loaded = None
    if encoder is not None:
        from passerby.models.encoder import load_encoder

        loaded = load_encoder(encoder)
    return Gallery.open(
        location,
        loaded,
        read_only=read_only,
        far=far,
        override_far=override_far and far is not None,
        guaranteed=guaranteed,
    )

"""The gallery a service keeps open, and the watch over its file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passerby.gallery.gallery import Gallery
from passerby.gallery.inputs import VectorEncoder
from passerby.service.errors import Refusal


class WatchedGallery:
    """An open gallery that refuses work while its file is not the one that was opened.

    SQLite goes on writing to a file that was deleted or replaced, and what is written there is lost. So the file's
    identity is compared before each use and again before anything is acknowledged. A file that comes back is used
    again; another file in its place is not, for the write-ahead log beside it may still be that of the old one.

    Args:
        location: as for `Gallery.open`.
        encoder: turns images into vectors.
        read_only: refuse every change.
    """

    def __init__(self, location: str | os.PathLike[str], encoder: VectorEncoder, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._gallery = Gallery.open(location, encoder, read_only=read_only)
        path = Path(self._gallery.location)
        self._path = path if path.is_file() else None
        self._identity = None if self._path is None else _identity(self._path)

    @contextmanager
    def use(self) -> Iterator[Gallery]:
        """The gallery, for the time of a block.

        Raises:
            Refusal: 503, its file is gone or is another one.
        """
        self._check()
        yield self._gallery
        self._check()

    def clean(self, message: str) -> str:
        """A message without the place of the gallery on this machine, which is nobody else's business."""
        place = self._gallery.location
        return message.removeprefix(f"{place}: ").replace(place, "the gallery")

    def close(self) -> None:
        """Close the gallery."""
        self._gallery.close()

    def _check(self) -> None:
        if self._path is None:
            return
        found = _identity(self._path)
        if found is None:
            raise Refusal(503, "the gallery's file is gone; nothing is stored until it is back", retry_after=30)
        if found != self._identity:
            raise Refusal(503, "the gallery's file was replaced while in use; restart the service", retry_after=60)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

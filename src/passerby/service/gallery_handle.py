"""The gallery that a service keeps open, checked against its file before and after each use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import VectorEncoder
from passerby.service.errors import ServiceError


class GalleryHandle:
    """An open gallery that cannot be used while its file is not the one that was opened.

    SQLite goes on writing to a file that was deleted or replaced, and what is written there is lost. So the file's
    device and inode are compared before each use and again before anything is acknowledged. A file that comes back is
    used again; another file in its place is not, for the write-ahead log beside it may still be that of the old one.

    Args:
        location: as for `Gallery.open`.
        encoder: turns images into vectors.
        read_only: refuse every change.
    """

    def __init__(self, location: str | os.PathLike[str], encoder: VectorEncoder, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._gallery = Gallery.open(location, encoder, read_only=read_only)
        try:
            self._gallery.load()  # the first request must not wait for it
        except BaseException:
            self._gallery.close()
            raise
        path = Path(self._gallery.location)
        self._path = path if path.is_file() else None
        self._file_id = None if self._path is None else _file_id(self._path)

    @contextmanager
    def use(self) -> Iterator[Gallery]:
        """The gallery, for the time of a block.

        Raises:
            ServiceError: 503, its file is gone or is another one.
        """
        self._check()
        yield self._gallery
        self._check()

    def without_location(self, message: str) -> str:
        """A message without the gallery's path on this machine, which callers must not learn."""
        location = self._gallery.location
        return message.removeprefix(f"{location}: ").replace(location, "the gallery")

    def close(self) -> None:
        """Close the gallery."""
        self._gallery.close()

    def _check(self) -> None:
        if self._path is None:
            return
        found = _file_id(self._path)
        if found is None:
            raise ServiceError(503, "the gallery's file is gone; nothing is stored until it is back", retry_after=30)
        if found != self._file_id:
            raise ServiceError(503, "the gallery's file was replaced while in use; restart the service", retry_after=60)


def _file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

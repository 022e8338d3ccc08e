"""Opens the store at a location."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import cast

from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.stores.protocol import Settings, Store

_DEFAULT_STORAGE = Settings().storage


def open_store(location: str, *, read_only: bool = False, storage: str | None = None) -> Store:
    """Open or make the store at a location; see `Gallery.open`.

    Raises:
        GalleryError: not a gallery's location, something else is there, or it does not have this storage.
        StorageError: it cannot be made or reached.
    """
    if _is_milvus(location):
        if storage not in (None, _DEFAULT_STORAGE):
            raise GalleryRequestError(
                f"{location}: storage={storage!r}, but Milvus stores {_DEFAULT_STORAGE}; leave storage out, or "
                "use a file gallery"
            )
        from passerby.gallery.stores.milvus.store import MilvusStore  # pymilvus is an extra, and slow to import

        return MilvusStore(location, read_only=read_only)
    if "://" in location:
        raise GalleryError(f"{location}: expected a file, milvus://host:port/NAME, or milvus:PATH.db")
    from passerby.gallery.stores.sqlite.shared_stores import open_shared

    path = Path(location).expanduser()
    shared = open_shared(path, read_only=read_only, storage=_DEFAULT_STORAGE if storage is None else storage)
    store = cast("Store", shared)  # it passes on to the store what it does not have itself
    found = store.settings().storage
    if storage not in (None, found):
        store.close()
        raise GalleryRequestError(
            f"{location}: stores vectors as {found}, opened with storage={storage!r}; leave storage out, or migrate it "
            "into a new gallery"
        )
    return store


def file_of(location: str) -> Path:
    """The file of a gallery that is one.

    Raises:
        GalleryRequestError: Milvus stores it.
    """
    if "://" in location or location.startswith("milvus:"):
        raise GalleryRequestError(f"{location}: expected a gallery's file; what Milvus stores has tools of its own")
    return Path(location).expanduser()


def is_new_file(location: str) -> bool:
    """Whether opening it for writing would make a file."""
    return "://" not in location and not location.startswith("milvus:") and not Path(location).expanduser().exists()


def check_place(location: str) -> None:
    """See that a gallery's file can be at a location, before anything slow is done for it.

    Raises:
        GalleryError: a folder is there, or there is no folder to put it into.
    """
    if is_new_file(location):
        from passerby.gallery.stores.sqlite import new_file

        path = Path(location).expanduser()
        new_file.check_place(path, path.resolve())


def remove_if_unused(location: str) -> bool:
    """Remove the file of a closed gallery in which nothing was ever stored; whether it was removed.

    Raises:
        GalleryRequestError: Milvus stores it.
        StorageError: the file cannot be locked.
    """
    from passerby.gallery.stores.sqlite import unused_file

    return unused_file.remove_if_unused(file_of(location))


def _is_milvus(location: str) -> bool:
    """Whether Milvus stores it: "milvus:" says so, and a folder *.db is milvus-lite's, under the short form of 0.1."""
    if location.startswith("milvus:"):
        return True
    if not (location.endswith(".db") and Path(location).expanduser().is_dir()):
        return False
    warnings.warn(
        f"{location}: write milvus:{location}; from version 0.3 on a path without milvus: is a file gallery",
        DeprecationWarning,
        stacklevel=4,
    )
    return True

"""From a location to the engine that keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from passerby.errors import GalleryError
from passerby.gallery.stores.protocol import Store


def open_store(location: str, *, read_only: bool = False, storage: str = "float32") -> Store:
    """Open or make the store at a location; see `Gallery.open`.

    Raises:
        GalleryError: not a gallery's location, or something else is there.
        StorageError: it cannot be made or reached.
    """
    if location.startswith("milvus://") or location.endswith(".db"):
        from passerby.gallery.stores.milvus import MilvusStore  # pymilvus is an extra, and slow to import

        return MilvusStore(location, read_only=read_only)
    if "://" in location:
        raise GalleryError(f"{location}: expected a file or milvus://host:port/NAME")
    from passerby.gallery.stores.sharing import open_shared

    shared = open_shared(Path(location).expanduser(), read_only=read_only, storage=storage)
    return cast("Store", shared)  # it passes on to the store what it does not have itself

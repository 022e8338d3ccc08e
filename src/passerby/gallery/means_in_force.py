"""The camera means that a gallery subtracts from vectors, wherever it compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.gallery.stores.protocol import Store

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics


def means_in_force(store: Store) -> CameraStatistics | None:
    """What is subtracted from vectors before they are compared; None: nothing."""
    version = store.means_version()
    return store.camera_statistics(version) if version else None

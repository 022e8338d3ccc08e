"""The distributed store: Milvus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.gallery.stores.milvus.search import effort
    from passerby.gallery.stores.milvus.store import MilvusStore

__all__ = ["MilvusStore", "effort"]

__getattr__ = lazy_names(
    __name__,
    {
        "MilvusStore": "passerby.gallery.stores.milvus.store",
        "effort": "passerby.gallery.stores.milvus.search",
    },
)

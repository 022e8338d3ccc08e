"""The embedded store: one SQLite file, exact search in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.gallery.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]

__getattr__ = lazy_names(
    __name__,
    {
        "SqliteStore": "passerby.gallery.stores.sqlite.store",
    },
)

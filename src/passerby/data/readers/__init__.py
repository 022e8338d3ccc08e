"""One reader a benchmark; `READERS` is the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.data.readers.table import READERS, Reader

__all__ = ["READERS", "Reader"]

__getattr__ = lazy_names(
    __name__,
    {
        "READERS": "passerby.data.readers.table",
        "Reader": "passerby.data.readers.table",
    },
)

"""Drawn pedestrians in the layout of any benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.data.layouts.write import LAYOUTS, write_layout

__all__ = ["LAYOUTS", "write_layout"]

__getattr__ = lazy_names(
    __name__,
    {
        "LAYOUTS": "passerby.data.layouts.write",
        "write_layout": "passerby.data.layouts.write",
    },
)

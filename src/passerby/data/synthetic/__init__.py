"""Drawn pedestrians under several cameras: a small benchmark that anyone may copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.data.synthetic.dataset import SyntheticSettings, draw_dataset

__all__ = ["SyntheticSettings", "draw_dataset"]

__getattr__ = lazy_names(
    __name__,
    {
        "SyntheticSettings": "passerby.data.synthetic.dataset",
        "draw_dataset": "passerby.data.synthetic.dataset",
    },
)

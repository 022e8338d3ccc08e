"""Is a dataset whole and sound? Counts, names, pixels, duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.data.check.check_report import CheckReport
    from passerby.data.check.dataset_check import check_dataset

__all__ = ["CheckReport", "check_dataset"]

__getattr__ = lazy_names(
    __name__,
    {
        "CheckReport": "passerby.data.check.check_report",
        "check_dataset": "passerby.data.check.dataset_check",
    },
)

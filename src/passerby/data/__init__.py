"""Image files become samples, batches and pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.data.check.dataset_check import check_dataset
    from passerby.data.datasets import (
        DATASETS,
        combine_datasets,
        dataset_info,
        list_datasets,
        load_dataset,
        load_splits,
    )

__all__ = [
    "DATASETS",
    "check_dataset",
    "combine_datasets",
    "dataset_info",
    "list_datasets",
    "load_dataset",
    "load_splits",
]

__getattr__ = lazy_names(
    __name__,
    {
        "DATASETS": "passerby.data.datasets",
        "check_dataset": "passerby.data.check.dataset_check",
        "combine_datasets": "passerby.data.datasets",
        "dataset_info": "passerby.data.datasets",
        "list_datasets": "passerby.data.datasets",
        "load_dataset": "passerby.data.datasets",
        "load_splits": "passerby.data.datasets",
    },
)

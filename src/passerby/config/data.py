"""Which dataset, and what of it is held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from passerby.config.settings_group import NonNegative, PeopleCount, Settings


class DataConfig(Settings):
    """Which dataset, and what of it is held out to choose the best checkpoint."""

    name: str = "synthetic"
    """A name of `passerby data list`, or one's own: a .csv or .parquet manifest, or a folder of folders. A training
    must be given one."""
    root: Path | None = None
    """Folder that holds the dataset (or the images a manifest names)."""
    split: NonNegative = 0
    """Which split, for datasets with several."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the dataset's reader (for example mode = "labeled" for cuhk03)."""
    held_out_identities: PeopleCount = 0
    """Training identities set aside to choose the best checkpoint; 0 keeps the last one; auto: 40, or a fifth of them
    where they are fewer than 200."""

    @field_validator("arguments")
    @classmethod
    def _are_the_readers_own(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        for key in ("name", "root", "split"):
            if key in arguments:
                raise ValueError(f"{key} is no argument of a dataset's reader; give data.{key}")
        return arguments

    @property
    def named(self) -> bool:
        """Whether somebody said what the data are."""
        return "name" in self.model_fields_set

"""What training minimises: weighted losses, and the vectors of a stronger encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from passerby.config.settings_group import Settings


class TermConfig(Settings):
    """One weighted term of the objective."""

    loss: str | None = None
    """A name of the LOSSES table or an import path "module:Class"; default: the term's own name."""
    weight: float = Field(1.0, ge=0.0, allow_inf_nan=False)
    """Factor of the term in the total."""
    reads: Literal["feature", "embedding"] | None = None
    """The vector before or after the neck; default: what the loss's paper does."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Constructor arguments of the loss."""


class DistillationConfig(Settings):
    """Learn the vectors of a stronger encoder beside the labels (see `passerby.losses.distillation`)."""

    vectors: Path | None = None
    """Parquet file with its vectors of the training images, from `passerby embed TEACHER --parts train`, or the folder
    that it makes with `--views N`, of N views of each image, which are then what the training shows; none: off."""
    weight: float = Field(4.0, gt=0.0, allow_inf_nan=False)
    """Factor of the term in the total; the default was chosen on held-out identities of Market-1501."""

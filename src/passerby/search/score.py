"""How several distances to one identity become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from passerby.errors import GalleryRequestError

ScoreName: TypeAlias = Literal["min", "mean", "centroid"]


@dataclass(frozen=True)
class Score:
    """How the distances of a probe to an identity's observations become one number.

    `min`: the nearest observation (the convention of re-ID evaluation). `mean`: the mean of the `k` nearest (of all,
    where there are fewer). `centroid`: the distance to the normalised mean of the observations' vectors.
    Only observations that pass the filter count.
    """

    name: ScoreName = "min"
    k: int = 3

    def __post_init__(self) -> None:
        if self.name not in ("min", "mean", "centroid"):
            raise GalleryRequestError(f"unknown score {self.name!r}: expected 'min', 'mean' or 'centroid'")
        if not isinstance(self.k, (int, np.integer)) or self.k < 1:
            raise GalleryRequestError(f"score_k: expected a whole number of 1 or more, found {self.k!r}")

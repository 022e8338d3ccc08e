"""By which distance a probe is known: what was asked for, where it comes from, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from passerby.array_types import Float64
from passerby.evaluation.open_set.cohort_distances import COHORT, cohort_level, distance_of, relative_distance

if TYPE_CHECKING:
    from passerby.evaluation.open_set.impostor_law import ImpostorLaw

Basis: TypeAlias = Literal["call", "set", "gallery", "blend", "encoder", "encoder threshold", "none"]
"""Where a threshold comes from: the call; `set_threshold`; the false accept rate by the law of the gallery's own
people, of these and the encoder's held-out people, or of the latter alone; the encoder's threshold of version 0.1;
nowhere."""


@dataclass(frozen=True)
class VerdictRule:
    """What decides about probes of one kind.

    Attributes:
        threshold: a distance strictly below it is accepted; None: there is no verdict.
        basis: where the threshold comes from.
        law: gives p-values; None where there is none.
        note: one sentence on what the verdict rests on, or on what is missing for one.
        relative: the law is of distances relative to a cohort, and so is a threshold that follows from it.
    """

    threshold: float | None
    basis: Basis
    law: ImpostorLaw | None
    note: str
    relative: bool = False

    @property
    def people(self) -> int:
        """How many nearest people it looks at."""
        return COHORT + 1 if self.relative else 1

    def verdict(self, distances: Float64) -> tuple[float | None, float | None]:
        """The threshold of the nearest distance, and its p-value: how often somebody who is not enrolled comes as near.

        Args:
            distances: to the nearest identities, ascending; of none nobody comes near. With a cohort the threshold is
                the probe's own.
        """
        if not len(distances):
            return self.threshold, None if self.law is None else 1.0
        nearest = float(distances[0])
        if not self.relative:
            return self.threshold, None if self.law is None else self.law.p_value(nearest)
        level = cohort_level(distances)
        own = self.basis in ("call", "set") or self.threshold is None
        threshold = self.threshold if own or self.threshold is None else distance_of(self.threshold, level)
        return threshold, None if self.law is None else self.law.p_value(relative_distance(nearest, level))

"""By which distance a probe is known: what was asked for, where it comes from, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

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
    """

    threshold: float | None
    basis: Basis
    law: ImpostorLaw | None
    note: str

    def p_value(self, distance: float | None) -> float | None:
        """How often somebody who is not enrolled comes this near; None: nobody to compare with comes never near."""
        if self.law is None:
            return None
        return 1.0 if distance is None else self.law.p_value(distance)

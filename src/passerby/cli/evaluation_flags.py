"""How rankings are scored: the one place where the flags of evaluation are defined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.parameters import Metric

Rerank: TypeAlias = Literal["none", "k_reciprocal"]


@Parameter(name="*")
@dataclass(frozen=True)
class EvaluationFlags:
    """How rankings are scored."""

    protocol: Annotated[str | None, Parameter(metavar="NAME")] = None
    """Protocol by name; default: the dataset's own."""
    metric: Metric = "euclidean"
    ap: Literal["step", "trapezoid"] = "step"
    """Definition of average precision: step as in recent papers' code, trapezoid as in the official Market-1501 one."""
    rerank: Rerank | None = None
    """Re-rank with k-reciprocal neighbours, which is transductive: it uses the other queries (default: none)."""

    def settings(self, *, rerank: Rerank = "none") -> dict[str, Any]:
        """Keyword arguments of the evaluation functions.

        Args:
            rerank: where no flag says so.
        """
        chosen = self.rerank or rerank
        rules = None if chosen == "none" else chosen
        return {"protocol": self.protocol, "metric": self.metric, "ap": self.ap, "rerank": rules}

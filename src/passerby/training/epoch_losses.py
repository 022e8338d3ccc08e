"""The losses of one epoch, kept on the device so that reading them never stalls it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from passerby.errors import TrainingError

# On a GPU every check waits for the device: a rare one costs nothing and finds the same first bad step.
_CHECK_EVERY = 20


class EpochLosses:
    """Rows of loss terms, one a step; stops the training at the first NaN or Inf.

    Args:
        names: the objective's terms, "total" among them.
        steps: steps of the epoch.
        device: where the losses are.
        epoch: 0-based; for the message.
        start: steps done before (when an epoch is resumed).

    Attributes:
        steps: steps done.
        recent: mean total of the last few steps before the last check.
    """

    def __init__(self, names: Sequence[str], steps: int, device: torch.device, *, epoch: int, start: int = 0) -> None:
        self.names = tuple(names)
        self.steps = start
        self.recent = math.nan
        self._epoch = epoch
        self._checked = start
        self._start = start
        self._rows = torch.full((steps, len(self.names)), torch.nan, device=device)
        self._check_every = 1 if device.type == "cpu" else _CHECK_EVERY

    def record(self, terms: Mapping[str, Tensor]) -> None:
        """Add one step.

        Raises:
            TrainingError: a loss is NaN or Inf.
        """
        self._rows[self.steps] = torch.stack([terms[name].detach().float() for name in self.names])
        self.steps += 1
        if self.steps % self._check_every == 0:
            self.check()

    def check(self) -> None:
        """Look at every step since the last check.

        Raises:
            TrainingError: a loss is NaN or Inf, with its term, epoch and step.
        """
        bad = (~torch.isfinite(self._rows[self._checked : self.steps])).nonzero()
        if len(bad):
            step, term = bad[-1 if len(bad) == 1 else 0].tolist()
            # the sum comes first in a row, but the term that broke it is what helps
            broken = [self.names[t] for s, t in bad.tolist() if s == step and self.names[t] != "total"]
            raise TrainingError(
                f"the loss {broken[0] if broken else self.names[term]!r} became "
                f"{self._rows[self._checked + step, term].item()} in epoch {self._epoch + 1}, step "
                f"{self._checked + step + 1}; the last good checkpoint is kept. "
                "Lower optimizer.lr, lengthen schedule.warmup_epochs or set optimizer.clip_norm"
            )
        self._checked = self.steps
        last = self._rows[max(0, self.steps - _CHECK_EVERY) : self.steps, self.names.index("total")]
        self.recent = float(last.nanmean())

    def means(self) -> dict[str, float]:
        """Mean of each term over the epoch."""
        means = self._rows[: self.steps].nanmean(0).tolist()
        return dict(zip(self.names, means, strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        """The rows so far."""
        return {"rows": self._rows[: self.steps].cpu()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the rows of an epoch that was interrupted."""
        self._rows[: self.steps] = state["rows"].to(self._rows.device)

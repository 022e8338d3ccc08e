"""What a training shows while it runs: a bar on a terminal, a line an epoch everywhere, and when it will end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from passerby.config import Config
from passerby.progress import ProgressBar, duration, progress_bar
from passerby.training.growing import image_size

log = logging.getLogger("passerby")

_ESTIMATE_AFTER = 10
"""Steps after which the end is estimated for the first time: the first ones are slower than the others."""


class Display:
    """Counts a training's work: a step at full size is 1, one at half the height and width a quarter.

    Args:
        bar: shows it.
        config: the recipe.
        steps: of each epoch.
        epoch: 0-based, at which the training goes on.
        step: in that epoch.
    """

    def __init__(self, bar: ProgressBar, config: Config, steps: Sequence[int], epoch: int, step: int) -> None:
        self._bar = bar
        self._config = config
        self._steps = steps
        self._left = work_of(config, steps) - work_of(config, steps, until=(epoch, step))
        self._seen = 0
        self._estimated = False
        self._work = 0.0
        self._images = 0
        self._began = time.monotonic()

    def epoch(self, epoch: int) -> None:
        """A 0-based epoch begins."""
        self._epoch = epoch
        self._cost = cost_of(self._config, epoch)
        self._work, self._images = 0.0, 0
        self._began = time.monotonic()
        self._bar.rename(f"train {self._config.name}, epoch {epoch + 1}/{len(self._steps)}")

    def step(self, loss: float) -> None:
        """A step is done; `loss` is the recent mean."""
        self._seen += 1
        self._work += self._cost
        self._left -= self._cost
        self._images += self._config.sampler.batch_size
        speed = self._images / max(time.monotonic() - self._began, 1e-9)
        every = self._seen <= 5 or self._seen % 5 == 0
        self._bar.advance(self._cost, f"loss {loss:.3f}  {speed:.0f} images/s" if every else None)
        if self._seen == _ESTIMATE_AFTER and self._left > 0 and not self._estimated:
            log.info("about %s to go (%d epochs)", self._to_go(), len(self._steps) - self._epoch)

    def _to_go(self) -> str:
        seconds = time.monotonic() - self._began
        return duration(self._left * seconds / max(self._work, 1e-9))

    def epoch_done(self, losses: Mapping[str, float]) -> None:
        """Write the epoch's line.

        Args:
            losses: mean of each term, "total" among them.
        """
        self._estimated = True
        seconds = time.monotonic() - self._began
        terms = ", ".join(f"{name} {value:.3f}" for name, value in losses.items() if name != "total")
        height, width = image_size(self._config, self._epoch)
        log.info(
            "epoch %d/%d at %dx%d: loss %.3f%s, %s, %.0f images/s%s",
            self._epoch + 1,
            len(self._steps),
            height,
            width,
            losses["total"],
            f" ({terms})" if len(losses) > 2 else "",
            duration(seconds),
            self._images / max(seconds, 1e-9),
            f", about {self._to_go()} to go" if self._left > 1e-6 else "",
        )


@contextmanager
def training_display(config: Config, steps: Sequence[int], *, epoch: int, step: int, quiet: bool) -> Iterator[Display]:
    """Show a training while the block runs; see `Display` for the arguments.

    Args:
        config: the recipe.
        steps: of each epoch.
        epoch: 0-based, at which the training goes on.
        step: in that epoch.
        quiet: no bar.
    """
    total, done = work_of(config, steps), work_of(config, steps, until=(epoch, step))
    with progress_bar(f"train {config.name}", total, done=done, quiet=quiet, counted=False, lines=False) as bar:
        yield Display(bar, config, steps, epoch, step)


def cost_of(config: Config, epoch: int) -> float:
    """Work of one step of a 0-based epoch, in steps at full size: its share of the pixels."""
    height, width = image_size(config, epoch)
    return height * width / (config.input.height * config.input.width)


def work_of(config: Config, steps: Sequence[int], *, until: tuple[int, int] | None = None) -> float:
    """Work of all epochs, or of those before (epoch, step), in steps at full size.

    Args:
        config: the recipe.
        steps: of each epoch.
        until: 0-based epoch, and steps done in it.
    """
    epoch, step = (len(steps), 0) if until is None else until
    whole = sum(steps[e] * cost_of(config, e) for e in range(epoch))
    return whole + (step * cost_of(config, epoch) if step else 0.0)

"""One progress bar for all long work: on stderr, with a time estimate; a log line now and then where no terminal is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

log = logging.getLogger("passerby")

_FIRST_LINE = 30.0
"""Seconds of work without a terminal before its first line; shorter work writes none."""
_LAST_LINE = 300.0
"""Longest time between two lines, seconds: they grow apart with the time that the work has taken."""


class ProgressBar:
    """Counts steps of one task; `note` shows a few words behind the bar (a loss, images/s).

    Args:
        progress: shows it.
        task: its number there.
        lines: write a log line now and then instead.
    """

    def __init__(self, progress: Progress, task: TaskID, *, lines: bool = False) -> None:
        self._progress = progress
        self._task = task
        self._lines = lines
        self._began = time.monotonic()
        self._next = self._began + _FIRST_LINE
        self._done_before = progress.tasks[0].completed

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Count `steps` more, and show `note` if given."""
        if note is None:
            self._progress.advance(self._task, steps)
        else:
            self._progress.update(self._task, advance=steps, note=note)
        if self._lines and (now := time.monotonic()) >= self._next:
            self._next = now + min(max(_FIRST_LINE, 0.1 * (now - self._began)), _LAST_LINE)
            log.info("%s", self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        """How far the work is, how fast it goes, and how long it will still take."""
        task = self._progress.tasks[0]
        rate = (task.completed - self._done_before) / max(seconds, 1e-9)
        words = f"{task.description}: {task.completed:,.0f}"
        if task.total is not None:
            words += f" of {task.total:,.0f} ({min(task.completed / task.total, 1.0):.0%})"
        words += f", {rate:,.0f}/s" if rate >= 10 else f", {rate:.1f}/s"
        words += f", {duration(seconds)} so far"
        if task.total is not None and rate > 0:
            words += f", about {duration(max(task.total - task.completed, 0.0) / rate)} to go"
        return f"{words} ({task.fields['note']})" if task.fields["note"] else words

    def rename(self, title: str) -> None:
        """Show another title in front of the bar."""
        self._progress.update(self._task, description=title)


class _Times(ProgressColumn):
    """How long it has taken, and how long it will still take."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        words = f"{duration(elapsed or 0.0)} so far"
        if not task.finished:
            words += ", ... left" if task.time_remaining is None else f", {duration(task.time_remaining)} left"
        return Text(words, style="progress.elapsed")


@contextmanager
def progress_bar(
    title: str,
    total: float | None,
    *,
    done: float = 0,
    quiet: bool = False,
    counted: bool = True,
    lines: bool = True,
) -> Iterator[ProgressBar]:
    """Show a bar on stderr while the block runs; without a terminal, a log line after 30 s and then now and then.

    Args:
        title: what is being done.
        total: number of steps; or any measure of the work, with `counted` off; None where it is not known, 0 where
            there is too little to do for a line.
        done: steps already done (when work resumes).
        quiet: show nothing, on a terminal or not.
        counted: show "3/10"; otherwise the share in per cent.
        lines: without a terminal, write lines; off for work that writes its own.
    """
    console = Console(stderr=True)
    amount = MofNCompleteColumn() if counted else TextColumn("{task.percentage:.0f} %")
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        _Times(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=False, disable=hidden) as progress:
        task = progress.add_task(title, total=total, completed=done, note="")  # type: ignore[arg-type]  # rich counts floats too
        yield ProgressBar(progress, task, lines=lines and hidden and not quiet and total != 0)


def duration(seconds: float) -> str:
    """A length of time in words: "41 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

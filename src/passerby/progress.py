"""One progress bar for all long work: on stderr, with a time estimate, silent when not on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text


class ProgressBar:
    """Counts steps of one task; `note` shows a few words behind the bar (a loss, images/s)."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Count `steps` more, and show `note` if given."""
        if note is None:
            self._progress.advance(self._task, steps)
        else:
            self._progress.update(self._task, advance=steps, note=note)

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
    title: str, total: float, *, done: float = 0, quiet: bool = False, counted: bool = True
) -> Iterator[ProgressBar]:
    """Show a bar on stderr while the block runs.

    Args:
        title: what is being done.
        total: number of steps; or any measure of the work, with `counted` off.
        done: steps already done (when work resumes).
        quiet: show nothing even on a terminal.
        counted: show "3/10"; otherwise the share in per cent.
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
    with Progress(*columns, console=console, transient=False, disable=quiet or not console.is_terminal) as progress:
        yield ProgressBar(progress, progress.add_task(title, total=total, completed=done, note=""))  # type: ignore[arg-type]  # rich counts floats too


def duration(seconds: float) -> str:
    """A length of time in words: "41 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

"""One progress bar for all long work: on stderr, with a time estimate, silent when not on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


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


@contextmanager
def progress_bar(title: str, total: int, *, done: int = 0, quiet: bool = False) -> Iterator[ProgressBar]:
    """Show a bar on stderr while the block runs.

    Args:
        title: what is being done.
        total: number of steps.
        done: steps already done (when work resumes).
        quiet: show nothing even on a terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=False, disable=quiet or not console.is_terminal) as progress:
        yield ProgressBar(progress, progress.add_task(title, total=total, completed=done, note=""))

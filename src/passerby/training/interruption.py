"""Stopping at a signal: it is remembered, and the loop saves at the next step."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """While entered, Ctrl-C and SIGTERM interrupt; from `remember` on they set `requested` alone, for the loop to save.

    A second signal ends it at once. Signals can be caught only in the main thread; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._remembers = False
        self._patience = 0.0
        self._first = 0.0
        self._previous: dict[signal.Signals, Any] = {}

    def remember(self, *, patience: float = 0.0) -> None:
        """From now on remember a signal instead of ending the program in the middle of a step.

        Args:
            patience: seconds after the first signal in which more of them mean the same. torchrun's processes get
                Ctrl-C from the terminal, and from torchrun again.
        """
        self._remembers, self._patience = True, patience

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self._first = now
        if not self._remembers or (self.requested and now - self._first >= self._patience):
            self.requested = True  # still known where the exception is lost, as in a callback of a compiled function
            self._restore()
            raise KeyboardInterrupt
        self.requested = True

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

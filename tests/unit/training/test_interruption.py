"""A signal is not lost, even where the exception that it raises is.

The signals are raised in this thread: one that is sent to the process may reach another thread, and be handled a moment
later, when the test is over.
"""

import signal
from contextlib import suppress

import pytest

from passerby.training.interruption import Interruption


def test_before_the_first_step_it_interrupts_and_is_remembered() -> None:
    with Interruption() as stopped:
        # as in a callback of compiled code, where an exception is reported and ignored
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        stopped.remember()
        assert stopped.requested


def test_afterwards_it_is_remembered_and_a_second_one_interrupts() -> None:
    with Interruption() as stopped:
        stopped.remember()
        signal.raise_signal(signal.SIGTERM)
        assert stopped.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)

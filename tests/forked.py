"""Processes that import torch once: each is forked from a server which has, and is otherwise like a new interpreter."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext


@cache
def context() -> ForkServerContext:
    """Where processes come from; not every system has it."""
    made = multiprocessing.get_context("forkserver")
    # what DistributedDataParallel needs of torch._dynamo takes longest
    made.set_forkserver_preload(["torch._dynamo.convert_frame", "passerby.training.trainer", "passerby.service.app"])
    return made


class Forked:
    """A function in a process of its own.

    Args:
        function: at the top level of a module; what it returns is forgotten, and SystemExit is its exit code.
        arguments: of the function.
        environment: variables to set.
        warning: what the process does with warnings: "ignore", "error", ...

    Attributes:
        stdout: what it writes there, until it ends.
        stderr: likewise.
        pid: its number.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
        warning: Any = "ignore",
    ) -> None:
        (self.stdout, out), (self.stderr, err) = _pipe(), _pipe()
        call = (out, err, dict(environment or {}), warning, function, arguments)
        self._process = context().Process(target=_run, args=call, daemon=True)
        self._process.start()
        out.close()
        err.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, a signal's as a negative number; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} runs after {timeout} s")
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it ends; what it wrote to stdout and to stderr (less than a pipe holds of each)."""
        self.wait(timeout)
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """End it and forget what it wrote."""
        self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()


def command(*words: str) -> None:
    """What `passerby` does with words."""
    from passerby.cli import main

    main(words)


def _pipe() -> tuple[TextIO, Connection]:
    receiver, sender = context().Pipe(duplex=False)
    with receiver:
        return os.fdopen(os.dup(receiver.fileno()), "r"), sender


def _run(
    out: Connection,
    err: Connection,
    environment: dict[str, str],
    warning: Any,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
) -> None:
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.environ.update(environment)
    warnings.resetwarnings()
    warnings.simplefilter(warning)
    function(*arguments)

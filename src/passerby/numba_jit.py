"""Compiling the inner loops, with the machine code kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile with numba: no GIL, IEEE arithmetic in the order written, cached on disk where a folder is writable."""
    return _jit(function, False)


def compiled_sums(function: Function) -> Function:
    """Like `compiled`, but sums may be reordered, so that they use the processor's vector instructions.

    What is to be compared must then come from one and the same compiled function, called from Python: inlined
    elsewhere, the order could be another.
    """
    return _jit(function, {"reassoc", "nsz"})


def _jit(function: Function, fastmath: bool | set[str]) -> Function:
    try:
        result = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath)(function)
    except RuntimeError:  # "cannot cache function": neither the package's nor the user's cache folder can be written
        result = numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
    return cast(Function, result)

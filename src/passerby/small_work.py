"""Whether some work is so little that numpy does it before numba is loaded."""

from __future__ import annotations

import sys

_LOADING = 0.5  # seconds that importing numba and reading compiled code take at least
_done = 0.0


def is_small(seconds: float) -> bool:
    """Whether numpy should do work that it needs so many seconds for.

    So it is until all such work of the process would have taken as long as loading numba does; never where numba is
    loaded already. Both ways must give the same to the last bit, so that it does not matter which one was taken.
    """
    global _done
    if "numba" in sys.modules:
        return False
    _done += seconds
    return _done < _LOADING

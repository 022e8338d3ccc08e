"""A request that is refused: which status, and what the caller should do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from passerby.errors import PasserbyError

_MOST_PROBLEMS = 10
LONGEST_NAME = 100  # characters


class Refusal(PasserbyError):
    """Becomes an HTTP answer; the message is for the caller, so it never names a path or another person."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def problems(errors: Sequence[Any], *where: str) -> str:
    """Which fields are wrong (of pydantic's list), without repeating what was in them."""
    lines = []
    for error in errors[:_MOST_PROBLEMS]:
        place = ".".join(str(part)[:LONGEST_NAME] for part in (*where, *error["loc"]))  # names are the caller's own
        lines.append(f"{place}: {error['msg']}")
    return "; ".join(lines)

"""Errors that become an HTTP answer: the status, and what the caller should do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from passerby.errors import PasserbyError

_MOST_FIELDS = 10
NUMBER_TAG, TEXT_TAG = "(number)", "(text)"
"""Which kind of a field that takes either; pydantic puts it into the place of an error, where no such field is."""
MAX_FIELD_NAME = 100  # characters of a field's name that a message repeats


class ServiceError(PasserbyError):
    """A request that is not carried out.

    The message is for the caller, so it never contains a path of this machine or the name of another person.

    Args:
        status: of the HTTP answer, 4xx or 5xx.
        message: what is wrong, and what to do.
        retry_after: seconds after which the same request may succeed; None: no such hint.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def validation_message(errors: Sequence[Any], *where: str) -> str:
    """Which fields are wrong (of pydantic's list), without repeating their values."""
    lines = []
    for error in errors[:_MOST_FIELDS]:
        parts = [part for part in (*where, *error["loc"]) if part not in (NUMBER_TAG, TEXT_TAG)]
        place = ".".join(str(part)[:MAX_FIELD_NAME] for part in parts)  # names are the caller's own
        lines.append(f"{place}: {str(error['msg']).removeprefix('Value error, ')}")
    return "; ".join(lines)

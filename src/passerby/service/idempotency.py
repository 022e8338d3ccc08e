"""A request that is sent twice is done once, if the sender marks it with an `Idempotency-Key`.

A client that got no answer cannot know whether its change was made. It sends the same request again, with the same
mark, and gets the answer it missed. Answers are kept in memory, for ten minutes, of one process.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from passerby.service.errors import Refusal

SECONDS = 600.0
_MOST = 2000
_LONGEST = 200


@dataclass
class Attempt:
    """One marked request: of what, since when, and the ASGI messages of its answer once there is one."""

    digest: bytes
    at: float
    answer: list[Any] = field(default_factory=list)
    done: bool = False


class Replays:
    """Marked requests of the last minutes, by the caller's key and the mark. Used by the event loop only."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, bytes], Attempt] = OrderedDict()

    def begin(self, caller: str, mark: bytes, path: str, body: bytes) -> tuple[Attempt, bool]:
        """The attempt of this mark, and whether it is a repetition whose answer is there.

        Raises:
            Refusal: 409, the first one is still being worked on; 422, the mark was used for something else.
        """
        if not 1 <= len(mark) <= _LONGEST:
            raise Refusal(422, f"Idempotency-Key: expected 1 to {_LONGEST} characters")
        now = clock.monotonic()
        while self._attempts and (
            len(self._attempts) >= _MOST or next(iter(self._attempts.values())).at < now - SECONDS
        ):
            self._attempts.popitem(last=False)
        # a form's boundary differs from try to try; clients that repeat send the same bytes
        digest = hashlib.sha256(path.encode() + b"\0" + body).digest()
        found = self._attempts.get((caller, mark))
        if found is None:
            self._attempts[caller, mark] = made = Attempt(digest, now)
            return made, False
        if found.digest != digest:
            raise Refusal(422, "Idempotency-Key: this one was used for another request")
        if not found.done:
            raise Refusal(409, "Idempotency-Key: the first request is still being worked on", retry_after=1)
        return found, True

    def drop(self, caller: str, mark: bytes) -> None:
        """Forget an attempt that changed nothing, so that it can be tried again."""
        self._attempts.pop((caller, mark), None)

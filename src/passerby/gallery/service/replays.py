"""A change that is sent twice is made once, if the sender marks it with an `Idempotency-Key`.

A client that got no answer cannot know whether its change was made. It sends the same request again, with the same
mark, and gets the answer it missed. Answers are kept in memory, for ten minutes, of one process, for the key that got
them. They name people; so they are given up as soon as somebody is forgotten, merged, split or described anew, or a
change is taken back. The mark stays: such a request is refused, for it was done, and is not done again.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from passerby.gallery.gallery import Gallery
from passerby.gallery.service.keys import Key
from passerby.gallery.service.refusal import Refusal

SECONDS = 600.0
MOST = 2000
"""Most answers that are kept for one key; the oldest go first."""
_LONGEST = 200
_LOOK_BACK = 1000

ASKING = frozenset({"/v1/identify", "/v1/identify/vectors"})
"""Paths that change nothing: repeated, they are done anew, and put on record anew."""
_ALTERING = frozenset({"merge", "split", "update", "undo", "forget", "purge"})
ALTERING = frozenset(f"/v1/{action}" for action in _ALTERING)
"""Paths after whose success an earlier answer may name somebody who is no longer there, or no longer called so."""
_NAMES_THE_FORGOTTEN = "/v1/purge"


@dataclass
class Attempt:
    """One marked request and, once it was done, the ASGI messages of its answer (none where they are not kept).

    Attributes:
        digest: of what was sent.
        role: of the key that sent it.
        request: its number.
        path: where it was sent to.
        began: by the monotonic clock.
        answered: when its answer began to go out, in seconds since 1970.
        running: whether it is still being worked on.
        overtaken: whether people were altered meanwhile.
    """

    digest: bytes
    role: str
    request: str
    path: str
    began: float
    answered: float = 0.0
    running: bool = True
    overtaken: bool = False
    answer: list[Any] = field(default_factory=list)


class Replays:
    """Marked requests of the last minutes, by the caller's key and the mark. Used by the event loop only."""

    def __init__(self) -> None:
        self._attempts: dict[str, OrderedDict[bytes, Attempt]] = {}

    def begin(self, caller: Key, mark: bytes, request: str, path: str, body: bytes) -> tuple[Attempt, bool]:
        """The attempt of this mark, and whether it is a repetition whose answer is there.

        Raises:
            Refusal: 403, the key may do less than when the first one was sent; 409, the first one is still being worked
                on; 410, it was done, and its answer is no longer kept; 422, the mark was used for something else.
        """
        if not 1 <= len(mark) <= _LONGEST:
            raise Refusal(422, f"Idempotency-Key: expected 1 to {_LONGEST} characters")
        now = clock.monotonic()
        self._make_room(caller.digest, now)
        # a form's boundary differs from try to try; clients that repeat send the same bytes
        digest = hashlib.sha256(path.encode() + b"\0" + body).digest()
        own = self._attempts.setdefault(caller.digest, OrderedDict())
        found = own.get(mark)
        if found is None:
            own[mark] = made = Attempt(digest, caller.role, request, path, now)
            return made, False
        if found.digest != digest:
            raise Refusal(422, "Idempotency-Key: this one was used for another request")
        if found.running:
            raise Refusal(409, "Idempotency-Key: the first request is still being worked on", retry_after=1)
        if not caller.may(found.role):
            raise Refusal(403, f"Idempotency-Key: the first request was sent with the role {found.role!r}")
        if not found.answer:
            raise gone()
        return found, True

    def end(self, caller: Key, mark: bytes, attempt: Attempt, answer: Sequence[Any]) -> None:
        """Keep the answer of what was done; what changed nothing can be tried again."""
        attempt.running = False
        if not (answer and 200 <= answer[0]["status"] < 300):
            self._attempts[caller.digest].pop(mark)
        elif not attempt.overtaken and attempt.path != _NAMES_THE_FORGOTTEN:
            attempt.answer = list(answer)

    def give_up(self, own: Attempt | None) -> None:
        """Drop the answers of all attempts but `own`, whose success is the reason."""
        for attempts in self._attempts.values():
            for attempt in attempts.values():
                if attempt is not own:
                    attempt.answer = []
                    attempt.overtaken = True

    def _make_room(self, digest: str, now: float) -> None:
        """Leave out what is too old, and the oldest of a key that has too many; never what is being worked on."""
        for key, attempts in list(self._attempts.items()):
            surplus = len(attempts) - MOST + 1 if key == digest else 0
            for mark, attempt in list(attempts.items()):
                if attempt.began >= now - SECONDS and surplus <= 0:
                    break
                if not attempt.running:
                    del attempts[mark]
                    surplus -= 1
            if not attempts:
                del self._attempts[key]


def altered_since(gallery: Gallery, moment: float) -> bool:
    """Whether somebody was forgotten, renamed and the like after `moment`, by this process or another.

    Looks through the newest entries of the log; where they do not reach back to `moment`, the answer is yes.
    """
    events = gallery.history(limit=_LOOK_BACK)
    for event in events:
        if event.at < moment:
            return False
        if event.action in _ALTERING:
            return True
    return len(events) == _LOOK_BACK


def gone() -> Refusal:
    """For a request that was done, whose answer is not kept."""
    return Refusal(
        410,
        "Idempotency-Key: the request was done, and is not done again; its answer is no longer kept, for people were "
        "renamed, merged, forgotten or taken back since. Look at the gallery before you send it with a new mark",
    )

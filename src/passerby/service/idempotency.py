"""A change that is sent twice is made once, if its sender gives both requests the same `Idempotency-Key` header.

A client that got no answer cannot know whether its change was made. It sends the same request again, with the same key,
and gets the answer it missed. Answers are kept in memory, for ten minutes, of one process, for the API key that got
them. They contain names; so they are discarded as soon as somebody is forgotten, merged, split or updated, or a change
is undone. The idempotency key stays: such a request gets 410, for it was done, and is not done again.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from passerby.errors import GalleryError, StorageError
from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.service.api_keys import Key
from passerby.service.asgi import App, Message, Receive, Scope, Send
from passerby.service.context import ServiceContext
from passerby.service.errors import ServiceError

SECONDS = 600.0
MOST = 2000
"""Most answers that are kept for one API key; the oldest go first."""
_LONGEST = 200  # characters of an idempotency key
_EVENTS = 1000  # of the gallery's log that are searched for changes by other processes

UNCHANGING = frozenset({"/v1/identify", "/v1/identify/vectors", "/v1/sightings/find", "/v1/sightings/find/vectors"})
"""Paths whose requests change nothing: repeated, they are done again, and audited again."""
_INVALIDATING = frozenset({"merge", "split", "update", "undo", "forget", "purge"})
INVALIDATING = frozenset(f"/v1/{action}" for action in _INVALIDATING)
"""Paths after whose success an earlier answer may name somebody who was erased or renamed."""
_NAMES_THE_ERASED = "/v1/purge"


@dataclass
class IdempotentRequest:
    """One request with an idempotency key and, once it was done, the ASGI messages of its answer.

    Attributes:
        digest: of what was sent.
        role: of the API key that sent it.
        request_id: of the request.
        path: where it was sent to.
        began: by the monotonic clock.
        newest: the newest entry of the log when its answer began to be sent. (A date would not do: clocks go back.)
        running: whether it is still being worked on.
        invalidated: whether identities were changed meanwhile.
        answer: messages; [] where they are not kept.
    """

    digest: bytes
    role: str
    request_id: str
    path: str
    began: float
    newest: int = 0
    running: bool = True
    invalidated: bool = False
    answer: list[Any] = field(default_factory=list)


class IdempotentAnswers:
    """Requests of the last minutes, by API key and idempotency key. Used by the event loop only."""

    def __init__(self) -> None:
        self._requests: dict[str, OrderedDict[bytes, IdempotentRequest]] = {}

    def begin(
        self, caller: Key, idempotency_key: bytes, request_id: str, path: str, body: bytes
    ) -> tuple[IdempotentRequest, bool]:
        """The request of this idempotency key, and whether it was done before and its answer is there.

        Raises:
            ServiceError: 403, the API key may do less than when the first one was sent; 409, the first one is still
                being worked on; 410, it was done, and its answer is no longer kept; 422, the idempotency key was used
                for something else.
        """
        if not 1 <= len(idempotency_key) <= _LONGEST:
            raise ServiceError(422, f"Idempotency-Key: expected 1 to {_LONGEST} characters")
        now = clock.monotonic()
        self._remove_old(caller.digest, now)
        # a form's boundary differs from try to try; clients that repeat send the same bytes
        digest = hashlib.sha256(path.encode() + b"\0" + body).digest()
        own = self._requests.setdefault(caller.digest, OrderedDict())
        found = own.get(idempotency_key)
        if found is None:
            own[idempotency_key] = made = IdempotentRequest(digest, caller.role, request_id, path, now)
            return made, False
        if found.digest != digest:
            raise ServiceError(422, "Idempotency-Key: this one was used for another request")
        if found.running:
            raise ServiceError(409, "Idempotency-Key: the first request is still being worked on", retry_after=1)
        if not caller.may(found.role):
            raise ServiceError(403, f"Idempotency-Key: the first request was sent with the role {found.role!r}")
        if not found.answer:
            raise answer_discarded()
        return found, True

    def end(self, caller: Key, idempotency_key: bytes, request: IdempotentRequest, answer: Sequence[Any]) -> None:
        """Keep the answer of what was done; what changed nothing can be tried again."""
        request.running = False
        if not (answer and 200 <= answer[0]["status"] < 300):
            self._requests[caller.digest].pop(idempotency_key)
        elif not request.invalidated and request.path != _NAMES_THE_ERASED:
            request.answer = list(answer)

    def invalidate(self, except_for: IdempotentRequest | None) -> None:
        """Discard the answers of all requests but the one whose success is the reason."""
        for requests in self._requests.values():
            for request in requests.values():
                if request is not except_for:
                    request.answer = []
                    request.invalidated = True

    def _remove_old(self, digest: str, now: float) -> None:
        """Remove what is too old, and the oldest of an API key that has too many; never what is being worked on."""
        for key, requests in list(self._requests.items()):
            surplus = len(requests) - MOST + 1 if key == digest else 0
            for idempotency_key, request in list(requests.items()):
                if request.began >= now - SECONDS and surplus <= 0:
                    break
                if not request.running:
                    del requests[idempotency_key]
                    surplus -= 1
            if not requests:
                del self._requests[key]


class IdempotencyMiddleware:
    """ASGI middleware inside of `RequestMiddleware`, which gives it the caller's key and the whole body.

    Args:
        app: what it calls.
        context: of the service.
    """

    def __init__(self, app: App, context: ServiceContext) -> None:
        self._app = app
        self._context = context
        self._answers = IdempotentAnswers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        key = dict(scope.get("headers", ())).get(b"idempotency-key")
        is_change = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] not in UNCHANGING
        if key is None or not is_change or "caller" not in scope["state"]:
            await self._app(scope, receive, self._invalidating(scope, send))
        else:
            await self._once(key, scope, receive, send)

    async def _once(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Do a request, or repeat the answer that it got before."""
        state = scope["state"]
        caller, request_id = state["caller"], state["request_id"]
        request, repeated = self._answers.begin(caller, key, request_id, scope["path"], state["body"])
        if repeated:
            for message in await self._kept_answer(request, caller, request_id):
                await send(dict(message))
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            if not answer:  # before the caller can know of it, and have somebody forgotten by another process
                await self._note_newest(request)
            answer.append(dict(message))
            await send(message)

        try:
            await self._app(scope, receive, self._invalidating(scope, keep, request))
        finally:
            self._answers.end(caller, key, request, answer)

    async def _note_newest(self, request: IdempotentRequest) -> None:
        """From which entry of the log on changes count; an answer for which that is not known is not kept."""
        try:
            request.newest = await self._context.query(newest_event)
        except (GalleryError, StorageError):
            request.invalidated = True

    async def _kept_answer(self, request: IdempotentRequest, caller: Key, request_id: str) -> list[Message]:
        """The answer that a request got, after the audit's entry that it is given again."""
        answer = request.answer

        def task(gallery: Gallery) -> None:
            if identities_changed_since(gallery, request.newest):
                raise answer_discarded()
            detail = {"request": request_id, "first": request.request_id, "path": request.path}
            self._context.audit(gallery, [Note("repeat", None, caller.name, detail)])

        try:
            await self._context.run(task)
        except (GalleryError, StorageError) as error:
            message = self._context.gallery.without_location(str(error))
            raise ServiceError(503, message, retry_after=30) from error
        if request.invalidated:  # during the audit
            raise answer_discarded()
        return answer

    def _invalidating(self, scope: Scope, send: Send, request: IdempotentRequest | None = None) -> Send:
        """`send`, but before the success of what changes identities is acknowledged, kept answers are discarded."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in INVALIDATING:
            return send

        async def invalidate_first(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self._answers.invalidate(except_for=request)
            await send(message)

        return invalidate_first


def newest_event(gallery: Gallery) -> int:
    """Number of the newest entry of the log; 0 where there is none."""
    return max((event.id for event in gallery.history(limit=1)), default=0)


def identities_changed_since(gallery: Gallery, newest: int) -> bool:
    """Whether somebody was forgotten, renamed and the like after an entry of the log, by this process or another.

    Searches the newest entries; where they do not reach back to `newest`, the answer is yes.
    """
    events = gallery.history(limit=_EVENTS)
    for event in events:
        if event.id <= newest:
            return False
        if event.action in _INVALIDATING:
            return True
    return len(events) == _EVENTS


def answer_discarded() -> ServiceError:
    """For a request that was done, whose answer is not kept."""
    return ServiceError(
        410,
        "Idempotency-Key: the request was done, and is not done again; its answer is no longer kept, for people were "
        "renamed, merged, forgotten or taken back since. Look at the gallery before you send it with a new key",
    )

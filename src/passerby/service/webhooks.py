"""Webhooks: a signed POST to another program for each visit of an unknown or known person.

The form is that of Standard Webhooks (https://www.standardwebhooks.com): headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, which is "v1," and the Base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY" by the secret. A delivery is
tried again, after growing pauses, until it is answered with 2xx; its id stays the same, so that the receiver can drop
what it got twice. What waits is bounded and in memory only.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import logging
import os
import time as clock
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from passerby.errors import ConfigError, GalleryRequestError
from passerby.gallery.argument_checks import asked_cameras
from passerby.plain_names import is_same_name
from passerby.service import logs
from passerby.service.errors import validation_message
from passerby.service.schemas import NoTruthValue, SightingEvent
from passerby.service.sighting_feed import SightingFeed, Subscriber
from passerby.version import __version__

FORMAT = "passerby-webhooks-1"
SECRET_PREFIX = "whsec_"
PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds between one try and the next; after the last one a delivery has failed."""
_ANSWER_SECONDS = 10.0
_WAITING = 1000
_HOUR = 3600.0
_GONE = 410


class Webhook(BaseModel):
    """Where to send what, signed with which secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """http:// or https://."""
    secret: str = Field(repr=False)
    """"whsec_" and the Base64 of at least 24 random bytes."""
    kinds: tuple[Literal["new", "known"], ...] = Field(default=("new", "known"), min_length=1)
    """"new": people who were made an unknown identity just now; "known": all others, earlier unknowns included."""
    cameras: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Only what these cameras see."""
    per_hour: Annotated[int, NoTruthValue] = Field(default=60, ge=1)
    """Most deliveries in an hour; those beyond are counted in the next one's `suppressed`."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("expected http://HOST/... or https://HOST/..., without a password in it")
        return url

    @field_validator("cameras")
    @classmethod
    def _check_cameras(cls, cameras: tuple[str, ...] | None) -> tuple[str, ...] | None:
        try:
            asked_cameras(cameras or ())  # what no camera is called would never be sent
        except GalleryRequestError as error:
            raise ValueError(str(error)) from None
        return cameras

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: str) -> str:
        if len(secret_bytes(secret)) < 24:
            raise ValueError('expected "whsec_" and the Base64 of at least 24 random bytes')
        return secret


def secret_bytes(secret: str) -> bytes:
    """The bytes of a secret; b"" where it is not one."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""


def read_webhooks(path: str | os.PathLike[str]) -> list[Webhook]:
    """Webhooks of a JSON file: {"format": "passerby-webhooks-1", "webhooks": [{"url": ..., "secret": ...}, ...]}.

    Raises:
        ConfigError: it cannot be read, or is not such a file.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: the webhooks cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{file}: not JSON ({error})") from None
    if (
        not isinstance(content, dict)
        or content.get("format") != FORMAT
        or content.keys() != {"format", "webhooks"}
        or not isinstance(content.get("webhooks"), list)
    ):
        raise ConfigError(f'{file}: expected {{"format": "{FORMAT}", "webhooks": [...]}}')
    try:
        return [Webhook.model_validate(one) for one in content["webhooks"]]
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)  # the secret stays secret
        raise ConfigError(f"{file}: {validation_message(found, 'webhook')}") from None


def sign(secret: str, delivery: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class WebhookSenders:
    """Sends what a feed gives to webhooks, each with a task and a thread of its own.

    Args:
        webhooks: where to.
        feed: of sightings.
        count: called with the outcome of each event: "delivered", "failed", "suppressed" or "dropped".
    """

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        feed: SightingFeed,
        *,
        count: Callable[[str], None],
    ) -> None:
        self._webhooks = webhooks
        self._feed = feed
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(max(1, len(webhooks)), thread_name_prefix="webhook")

    def start(self) -> None:
        """Begin to listen; called in the event loop."""
        for webhook in self._webhooks:
            subscriber = self._feed.subscribe(waiting=_WAITING, counted=False)
            self._tasks.append(asyncio.get_running_loop().create_task(self._send_all(webhook, subscriber)))

    def stop(self) -> None:
        """Send nothing more; called in the event loop."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send_all(self, webhook: Webhook, subscriber: Subscriber) -> None:
        sent: deque[float] = deque()
        suppressed = 0
        try:
            while (event := await subscriber.queue.get()) is not None:
                for _ in range(subscriber.lost):
                    self._count("dropped")
                subscriber.lost = 0
                if not _is_wanted(webhook, event):
                    continue
                now = clock.monotonic()
                while sent and sent[0] < now - _HOUR:
                    sent.popleft()
                if len(sent) >= webhook.per_hour:
                    suppressed += 1
                    self._count("suppressed")
                    continue
                sent.append(now)
                if not await self._deliver(webhook, event, suppressed):
                    return
                suppressed = 0
        finally:
            self._feed.unsubscribe(subscriber)

    async def _deliver(self, webhook: Webhook, event: SightingEvent, suppressed: int) -> bool:
        """Send one event, again and again; False where the receiver wants no more."""
        kind = "sighting.new" if event.new else "sighting.known"
        content = {"type": kind, "timestamp": _now(), "data": {**event.model_dump(), "suppressed": suppressed}}
        body = json.dumps(content).encode()
        delivery = f"sighting-{event.sighting}"
        status = 0
        for pause in (*PAUSES, None):
            status = await asyncio.get_running_loop().run_in_executor(
                self._threads, partial(post, webhook, delivery, body)
            )
            if 200 <= status < 300:
                self._count("delivered")
                return True
            if status == _GONE or pause is None:
                break
            await asyncio.sleep(pause)
        self._count("failed")
        host = urlsplit(webhook.url).hostname
        logs.write("webhook failed", {"host": host, "status": status}, level=logging.WARNING)
        return status != _GONE


def _is_wanted(webhook: Webhook, event: SightingEvent) -> bool:
    kind = "new" if event.new else "known"
    return (
        event.visit
        and kind in webhook.kinds
        and (webhook.cameras is None or any(is_same_name(event.camera, camera) for camera in webhook.cameras))
    )


def post(webhook: Webhook, delivery: str, body: bytes) -> int:
    """Send one signed POST; the status of the answer, 0 where there was none. Redirections are not followed."""
    timestamp = int(clock.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"passerby/{__version__}",
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(webhook.secret, delivery, timestamp, body),
    }
    request = urllib.request.Request(webhook.url, body, headers, method="POST")
    try:
        with _OPENER.open(request, timeout=_ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return 0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> NoReturn:
        raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


_OPENER = urllib.request.build_opener(_NoRedirect)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

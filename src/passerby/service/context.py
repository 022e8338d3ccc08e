"""What all requests of one service share: gallery, encoder, keys, limits, metrics and worker threads."""

from __future__ import annotations

import asyncio
import os
import time as clock
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias, TypeVar

from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.gallery.result_types import Identification
from passerby.models.encoder import Encoder
from passerby.service import logs
from passerby.service.api_keys import Key
from passerby.service.authentication import Authenticator
from passerby.service.batching import BatchingEncoder
from passerby.service.errors import ServiceError
from passerby.service.gallery_handle import GalleryHandle
from passerby.service.identification import IdentificationPipeline, IdentificationTask
from passerby.service.limits import Limits
from passerby.service.made_requests import MadeRequests
from passerby.service.metrics import Metrics
from passerby.service.pixels_in_flight import PixelsInFlight
from passerby.service.rate_limit import RateLimiter
from passerby.service.request_bodies import BodiesInFlight
from passerby.service.schemas import IdentifyResponse
from passerby.service.sighting_feed import SightingFeed
from passerby.service.verdict import band_around
from passerby.service.webhooks import Webhook, WebhookSenders

T = TypeVar("T")
Reading: TypeAlias = Literal["names", "pictures", "history"]
AuditReads: TypeAlias = Literal["nothing", "pictures", "everything"]
"""Which readings are written to the audit; identifications and changes always are."""
_DECODER_THREADS = 4
_PARSER_THREADS = 2
_SMALL_BODY = 16 * 1024  # bytes: a crop; none of so many takes more than some milliseconds, whatever is in it
_LOOK_SECONDS = 60.0
_QUERY_THREADS = 8  # tasks that only read do not wait behind those that encode


class ServiceContext:
    """The gallery, the encoder in front of it, keys, limits and counters.

    Args:
        location: as for `Gallery.open`.
        encoder: turns images into vectors.
        keys: that are accepted.
        limits: bounds.
        read_only: refuse every change.
        webhooks: where new sightings are sent.
        audit_reads: which readings are written to the audit.

    Raises:
        GalleryError: the gallery cannot be opened with this encoder.
        StorageError: it cannot be made.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        encoder: Encoder,
        *,
        keys: Authenticator,
        limits: Limits,
        read_only: bool,
        webhooks: Sequence[Webhook] = (),
        audit_reads: AuditReads = "pictures",
    ) -> None:
        self.audit_reads = audit_reads
        self._pictures_noted: dict[str, float] = {}  # by name of the key, of which there are few
        self.made = MadeRequests()
        self.keys = keys
        self.rates = RateLimiter(limits.rate)
        self.limits = limits
        self.metrics = Metrics()
        self.calibration = encoder.calibration
        self.encoder = BatchingEncoder(
            encoder,
            batch=limits.batch,
            queue=limits.queue,
            seconds=limits.encode_seconds,
            on_batch=self.metrics.count_batch,
        )
        try:
            self.gallery = GalleryHandle(location, self.encoder, read_only=read_only)
        except BaseException:
            self.encoder.close()
            raise
        self.pixels = PixelsInFlight(limits)
        self._pipeline = IdentificationPipeline(
            self.gallery,
            self.encoder,
            self._finish,
            pixels=limits.pixels,
            in_flight=self.pixels,
            seconds=limits.encode_seconds,
            threads=_DECODER_THREADS,
        )
        self.feed = SightingFeed(
            self.query,
            seconds=limits.events_seconds,
            most=limits.subscribers,
            waiting=limits.events_waiting,
            visit_seconds=limits.visit_seconds,
        )
        self._senders = WebhookSenders(webhooks, self.feed, count=self.metrics.count_webhook)
        self.running = 0
        """Requests that encode or change something now."""
        self.bodies = BodiesInFlight(limits)
        self._parsers = ThreadPoolExecutor(_PARSER_THREADS, thread_name_prefix="parse")
        self._workers = ThreadPoolExecutor(limits.requests, thread_name_prefix="work")
        self._queries = ThreadPoolExecutor(_QUERY_THREADS, thread_name_prefix="query")

    def start(self) -> None:
        """Begin what goes on beside the requests; called in the event loop."""
        self._senders.start()

    def stop(self) -> None:
        """End what would not end by itself, before requests in flight are waited for; called in the event loop."""
        self._senders.stop()
        self.feed.close()

    async def run(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that encodes or changes something, in a thread.

        Raises:
            ServiceError: 503, too many are running.
        """
        self._start()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._with_gallery, task)
        finally:
            self.running -= 1

    async def query(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that only reads, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self._with_gallery, task)

    async def parse(self, task: Callable[[], T], size: int) -> T:
        """Parse the body of a request in a thread: few at once, so that the event loop has its turn between them.

        What is so small that a thread would cost more than the parsing is parsed at once.

        Args:
            task: parses it.
            size: bytes of the body.
        """
        if size <= _SMALL_BODY:
            return task()
        return await asyncio.get_running_loop().run_in_executor(self._parsers, task)

    async def identify(self, task: IdentificationTask) -> bytes:
        """Identify one person; see `IdentificationPipeline.identify`."""
        self._start()
        try:
            return await self._pipeline.identify(task)
        finally:
            self.running -= 1

    def _finish(self, gallery: Gallery, found: Sequence[tuple[IdentificationTask, Identification]]) -> list[bytes]:
        """Write who asked for whom to the audit, all in one durable write; the answers are made only after it."""
        answers = [
            IdentifyResponse.of(identification, self.band(identification.threshold), task.request_id)
            for task, identification in found
        ]
        if answers:
            notes = [_note_of(answer, task.caller) for answer, (task, _) in zip(answers, found, strict=True)]
            self.audit(gallery, notes)
        for answer in answers:
            self.metrics.count_verdict(answer.verdict)
            self.made.add(answer.request)
        return [answer.model_dump_json().encode() for answer in answers]

    @property
    def full(self) -> bool:
        """Whether no other request that encodes or changes something can be worked on now."""
        return self.running >= self.limits.requests

    def too_many(self) -> ServiceError:
        """The answer to one that comes all the same."""
        return ServiceError(503, "too many requests are being worked on", retry_after=1)

    def _start(self) -> None:
        if self.full:
            raise self.too_many()
        self.running += 1

    def _with_gallery(self, task: Callable[[Gallery], T]) -> T:
        with self.gallery.use() as gallery:
            return task(gallery)

    def band(self, threshold: float | None) -> tuple[float, float] | None:
        """Distances around a threshold at which a person should look."""
        return band_around(threshold, self.calibration)

    def audit(self, gallery: Gallery, notes: Sequence[Note]) -> None:
        """Write notes to the gallery's own log; for a gallery that is only read, to the service's log without names."""
        if self.gallery.read_only:
            for note in notes:
                logs.write("audit", {"action": note.action, "key": note.actor, **note.detail})
        else:
            gallery.log_many(notes)

    def note_reading(self, gallery: Gallery, what: Reading, caller: Key, identity: str | None = None) -> None:
        """Write to the audit who read what, before it is answered, as far as `audit_reads` asks for it.

        Thumbnails are noted once a minute for each key: a page of them is one look, not hundreds of entries.
        """
        if self.audit_reads == "everything" or what == self.audit_reads:
            now = clock.monotonic()
            if what == "pictures" and now - self._pictures_noted.get(caller.name, -_LOOK_SECONDS) < _LOOK_SECONDS:
                return
            if what == "pictures":
                self._pictures_noted[caller.name] = now
            self.audit(gallery, [Note(f"read_{what}", identity, caller.name, {})])

    def close(self) -> None:
        """Finish what is running, then close."""
        self._parsers.shutdown()
        self._workers.shutdown()
        self._queries.shutdown()
        self._pipeline.close()
        self.gallery.close()


def _note_of(answer: IdentifyResponse, caller: str) -> Note:
    """The audit's entry of one identification: who asked, and the nearest candidate."""
    detail: dict[str, float | str] = {
        "request": answer.request,
        "verdict": answer.verdict,
        "candidates": len(answer.matches),
    }
    if not answer.matches:
        return Note("identify", None, caller, detail)
    nearest = answer.matches[0]
    return Note("identify", nearest.identity, caller, {**detail, "distance": round(nearest.distance, 6)})

"""What all requests of one service share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from passerby.gallery.gallery import Gallery
from passerby.gallery.records import Identification, Note
from passerby.gallery.service import logs
from passerby.gallery.service.batching import BatchingEncoder
from passerby.gallery.service.bodies import BodiesInFlight
from passerby.gallery.service.calibration import band_around
from passerby.gallery.service.keys import KeyRing
from passerby.gallery.service.limits import Limits
from passerby.gallery.service.messages import Answer, Question
from passerby.gallery.service.metrics import Metrics
from passerby.gallery.service.pipeline import Ask, Pipeline
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.watch import WatchedGallery
from passerby.models.encoder import Encoder

T = TypeVar("T")
_DECODING = 4
_READING = 2
_LOOKING = 8  # threads that only read, so that looking does not wait behind encoding


class Service:
    """The gallery, the encoder in front of it, keys, limits and counters.

    Args:
        location: as for `Gallery.open`.
        encoder: turns images into vectors.
        keys: who may come in.
        limits: bounds.
        read_only: refuse every change.

    Raises:
        GalleryError: the gallery cannot be opened with this encoder.
        StorageError: it cannot be made.
    """

    def __init__(
        self, location: str | os.PathLike[str], encoder: Encoder, *, keys: KeyRing, limits: Limits, read_only: bool
    ) -> None:
        self.keys = keys
        self.limits = limits
        self.metrics = Metrics()
        self.calibration = encoder.calibration
        self.encoder = BatchingEncoder(
            encoder,
            batch=limits.batch,
            queue=limits.queue,
            seconds=limits.encode_seconds,
            on_batch=self.metrics.batch,
        )
        try:
            self.gallery = WatchedGallery(location, self.encoder, read_only=read_only)
        except BaseException:
            self.encoder.close()
            raise
        self._pipeline = Pipeline(
            self.gallery,
            self.encoder,
            self._finish,
            pixels=limits.pixels,
            seconds=limits.encode_seconds,
            threads=_DECODING,
        )
        self.in_work = 0
        self.bodies = BodiesInFlight(limits)
        self._readers = ThreadPoolExecutor(_READING, thread_name_prefix="read")
        self._workers = ThreadPoolExecutor(limits.requests, thread_name_prefix="work")
        self._lookers = ThreadPoolExecutor(_LOOKING, thread_name_prefix="look")

    async def work(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that encodes or changes something, in a thread.

        Raises:
            Refusal: 503, too many are running.
        """
        self._admit()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._with_gallery, task)
        finally:
            self.in_work -= 1

    async def look(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that only reads, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._lookers, self._with_gallery, task)

    async def read(self, parse: Callable[[], T]) -> T:
        """Parse the body of a request in a thread: few at once, so that the event loop has its turn between them."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, parse)

    async def ask(
        self, question: Question, caller: str, request: str, *, uploads: Sequence[bytes] = (), vectors: Any = None
    ) -> bytes:
        """Answer one question; see `Pipeline.ask`."""
        self._admit()
        try:
            return await self._pipeline.ask(question, caller, request, uploads=uploads, vectors=vectors)
        finally:
            self.in_work -= 1

    def _finish(self, gallery: Gallery, found: Sequence[tuple[Ask, Identification]]) -> list[bytes]:
        """Put on record who asked for whom, all in one durable write; then, and only then, there are answers."""
        answers = [Answer.of(what, self.band(what.threshold), ask.request) for ask, what in found]
        if answers:
            self.audit(gallery, [_asked(answer, ask.caller) for answer, (ask, _) in zip(answers, found, strict=True)])
        for answer in answers:
            self.metrics.verdict(answer.verdict)
        return [answer.model_dump_json().encode() for answer in answers]

    def _admit(self) -> None:
        if self.in_work >= self.limits.requests:
            raise Refusal(503, "too many requests are being worked on", retry_after=1)
        self.in_work += 1

    def _with_gallery(self, task: Callable[[Gallery], T]) -> T:
        with self.gallery.use() as gallery:
            return task(gallery)

    def band(self, threshold: float | None) -> tuple[float, float] | None:
        """Distances around a threshold at which a person should look."""
        return band_around(threshold, self.calibration)

    def audit(self, gallery: Gallery, notes: Sequence[Note]) -> None:
        """Note in the gallery's own log who asked for whom; of a gallery that is only read, in the service's log."""
        if self.gallery.read_only:
            for note in notes:
                logs.write("audit", {"action": note.action, "key": note.actor, **note.detail})
        else:
            gallery.log_many(notes)

    def close(self) -> None:
        """Finish what is in work, then close."""
        self._readers.shutdown()
        self._workers.shutdown()
        self._lookers.shutdown()
        self._pipeline.close()
        self.gallery.close()


def _asked(answer: Answer, caller: str) -> Note:
    detail: dict[str, float | str] = {
        "request": answer.request,
        "verdict": answer.verdict,
        "candidates": len(answer.matches),
    }
    if not answer.matches:
        return Note("identify", None, caller, detail)
    nearest = answer.matches[0]
    return Note("identify", nearest.identity, caller, {**detail, "distance": round(nearest.distance, 6)})

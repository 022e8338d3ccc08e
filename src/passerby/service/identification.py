"""Identification of many requests at once, in stages that run side by side.

    decode (a few threads) -> encode (one, in batches) -> search and audit (one, in groups) -> answer

What waits when a stage is free goes on together: one pass of the encoder, one search, one durable write of the audit
for all of them, and one message to the event loop. There is no artificial delay: an idle service answers one request at
once. An answer is sent after the audit's entry of who asked for whom is on the disk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch

from passerby.array_types import Float32
from passerby.errors import PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import mean_vector, unit_vectors
from passerby.gallery.result_types import Identification
from passerby.service.batching import BatchingEncoder
from passerby.service.errors import ServiceError
from passerby.service.gallery_handle import GalleryHandle
from passerby.service.pixels_in_flight import PixelsInFlight
from passerby.service.schemas import IdentifyRequest
from passerby.service.uploads import open_image

T = TypeVar("T")
Outcome = bytes | BaseException


@dataclass(frozen=True)
class IdentificationTask:
    """One identification, by uploaded images or by vectors (several are one tracklet).

    Attributes:
        fields: filters of the search.
        caller: name of the key.
        request_id: of the request.
        images: uploaded files.
        vectors: as they were sent; None where it is by images.
    """

    fields: IdentifyRequest
    caller: str
    request_id: str
    images: Sequence[bytes] = ()
    vectors: Any = None


@dataclass(eq=False)
class _Pending:
    """A task on its way through the stages.

    Attributes:
        task: what to identify.
        answer: the JSON of the answer, once it is there.
        vectors: unit vectors [n, dim], after encoding.
        encoding: the encoder's work on the images, once it is submitted.
    """

    task: IdentificationTask
    answer: asyncio.Future[bytes]
    vectors: Float32 | None = None
    encoding: Future[Float32] | None = None

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self.answer.cancel()
        if self.encoding is not None:
            self.encoding.cancel()


Finish = Callable[[Gallery, Sequence[tuple[IdentificationTask, Identification]]], Sequence[bytes]]


class IdentificationPipeline:
    """Answers identifications; see the module.

    Args:
        gallery: is searched.
        encoder: turns images into vectors.
        finish: writes the audit of several identifications and makes their answers; called in one thread.
        pixels: of the largest image.
        in_flight: counts those of all images that are being decoded.
        seconds: longest wait of one identification.
        threads: that decode; one slow image holds up one of them.
    """

    def __init__(
        self,
        gallery: GalleryHandle,
        encoder: BatchingEncoder,
        finish: Finish,
        *,
        pixels: int,
        in_flight: PixelsInFlight,
        seconds: float,
        threads: int,
    ) -> None:
        self._gallery = gallery
        self._encoder = encoder
        self._finish = finish
        self._pixels = pixels
        self._in_flight = in_flight
        self._seconds = seconds
        self._received: SimpleQueue[_Pending | None] = SimpleQueue()
        self._encoded: SimpleQueue[_Pending | None] = SimpleQueue()
        self._decoders = [
            threading.Thread(target=self._decode, name=f"decode-{i}", daemon=True) for i in range(threads)
        ]
        self._searcher = threading.Thread(target=self._search, name="search", daemon=True)
        for thread in (*self._decoders, self._searcher):
            thread.start()

    async def identify(self, task: IdentificationTask) -> bytes:
        """The answer as JSON.

        Raises:
            ServiceError: 4xx, an image that cannot be read; 503, overloaded, or it took too long.
            PasserbyError: the gallery cannot answer.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        pending = _Pending(task, answer)
        self._received.put(pending)
        try:
            async with asyncio.timeout(self._seconds):
                return await answer
        except TimeoutError:
            pending.cancel()
            raise ServiceError(503, "the images waited too long for the encoder", retry_after=5) from None

    def close(self) -> None:
        """Finish what is on its way, then stop; the encoder must still run."""
        for _ in self._decoders:
            self._received.put(None)
        for thread in self._decoders:
            thread.join()
        self._encoder.close()
        self._encoded.put(None)
        self._searcher.join()

    def _decode(self) -> None:
        while (pending := self._received.get()) is not None:
            if pending.answer.done():
                continue
            try:
                if pending.task.vectors is not None:
                    pending.vectors = unit_vectors(pending.task.vectors, self._encoder.dim)
                    self._encoded.put(pending)
                    continue
                images = self._prepare(pending)
                if images is None:
                    continue
                pending.encoding = self._encoder.submit(images)
            except Exception as error:  # of any class: the caller must get it, and the thread go on
                _deliver([(pending, error)])
            else:
                pending.encoding.add_done_callback(partial(self._on_encoded, pending))

    def _prepare(self, pending: _Pending) -> torch.Tensor | None:
        """The images at the encoder's size, one decoded at a time; None as soon as nobody waits any more."""
        ready = []
        with self._in_flight.hold(pending.task.images):
            for position, data in enumerate(pending.task.images):
                if pending.answer.done():
                    return None
                picture = open_image(data, position, max_pixels=self._pixels, bits=self._encoder.preprocessing.bits)
                ready.append(self._encoder.prepare([picture]))
        return torch.cat(ready)

    def _on_encoded(self, pending: _Pending, done: Future[Float32]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            _deliver([(pending, error)])
            return
        pending.vectors = done.result()
        self._encoded.put(pending)

    def _search(self) -> None:
        while group := _all_waiting(self._encoded):
            try:
                with self._gallery.use() as gallery:
                    outcomes = self._outcomes(gallery, group)
            except Exception as error:  # as above
                outcomes = [(pending, error) for pending in group]
            _deliver(outcomes)

    def _outcomes(self, gallery: Gallery, group: Sequence[_Pending]) -> list[tuple[_Pending, Outcome]]:
        found: list[tuple[_Pending, Identification]] = []
        failed: list[tuple[_Pending, Outcome]] = []
        by_filters: dict[Any, list[_Pending]] = {}
        for pending in group:
            by_filters.setdefault(_filters(pending.task.fields), []).append(pending)
        for alike in by_filters.values():
            _identify(gallery, alike, found, failed)
        answers = self._finish(gallery, [(pending.task, identification) for pending, identification in found])
        return [*failed, *((pending, answer) for (pending, _), answer in zip(found, answers, strict=True))]


def _filters(fields: IdentifyRequest) -> tuple[Any, ...]:
    """What identifications must have in common to be searched together; the camera may differ."""
    return (fields.exclude_camera, fields.after, fields.before, fields.threshold, fields.top, fields.score)


def _identify(
    gallery: Gallery,
    group: Sequence[_Pending],
    found: list[tuple[_Pending, Identification]],
    failed: list[tuple[_Pending, Outcome]],
) -> None:
    """Search for all together; where that fails, one by one, so that only those at fault fail."""
    filters = group[0].task.fields
    try:
        identifications = gallery.identify_many(
            np.concatenate([mean_vector(pending.vectors) for pending in group if pending.vectors is not None]),
            cameras=[pending.task.fields.camera for pending in group],
            exclude_camera=filters.exclude_camera,
            after=filters.after,
            before=filters.before,
            threshold=filters.threshold,
            top=filters.top,
            score=filters.score,
            frames=[len(pending.vectors) for pending in group if pending.vectors is not None],
        )
    except PasserbyError as error:
        if len(group) == 1:
            failed.append((group[0], error))
            return
        for pending in group:
            _identify(gallery, [pending], found, failed)
    else:
        found += zip(group, identifications, strict=True)


def _all_waiting(queue: SimpleQueue[T | None]) -> list[T]:
    """Blocks for the first; [] at the end, which None marks."""
    first = queue.get()
    if first is None:
        return []
    group = [first]
    with suppress(Empty):
        while (item := queue.get_nowait()) is not None:
            group.append(item)
        queue.put(None)  # the end is for the next call
    return group


def _deliver(outcomes: Sequence[tuple[_Pending, Outcome]]) -> None:
    """Hand outcomes to those who wait, all in one message to the event loop."""
    if outcomes:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            outcomes[0][0].answer.get_loop().call_soon_threadsafe(_resolve, outcomes)


def _resolve(outcomes: Sequence[tuple[_Pending, Outcome]]) -> None:
    for pending, outcome in outcomes:
        if pending.answer.done():
            continue
        if isinstance(outcome, bytes):
            pending.answer.set_result(outcome)
        else:
            pending.answer.set_exception(outcome)

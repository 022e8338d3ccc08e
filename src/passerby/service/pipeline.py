"""From uploaded pictures to an answer, for many requests at once, in stages that run side by side.

    decode (a few threads) -> encode (one, in batches) -> search, note in the audit (one, in groups) -> answer

What waits when a stage is free goes on together: one pass of the encoder, one search, one durable write of the audit
for all of them, and one message to the event loop. None waits for company: an idle service answers one request at once.
An answer goes out after the entry that says who asked for whom is on the disk.
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

from passerby.array_types import Float32
from passerby.errors import PasserbyError
from passerby.gallery.answers import Identification
from passerby.gallery.gallery import Gallery
from passerby.gallery.inputs import mean_vector, unit_vectors
from passerby.service.batching import BatchingEncoder
from passerby.service.errors import Refusal
from passerby.service.image_headers import open_picture
from passerby.service.schemas import Question
from passerby.service.watched_gallery import WatchedGallery

T = TypeVar("T")
Outcome = bytes | BaseException


@dataclass(eq=False)
class Ask:
    """One question on its way, about `uploads` or about `given` vectors; `caller` is a key's name."""

    question: Question
    caller: str
    request: str
    answered: asyncio.Future[bytes]
    uploads: Sequence[bytes]
    given: Any
    vectors: Float32 | None = None
    encoding: Future[Float32] | None = None

    def give_up(self) -> None:
        """Nobody waits for the answer any more."""
        self.answered.cancel()
        if self.encoding is not None:
            self.encoding.cancel()


Finish = Callable[[Gallery, Sequence[tuple[Ask, Identification]]], Sequence[bytes]]


class Pipeline:
    """Answers questions; see the module.

    Args:
        gallery: is asked.
        encoder: turns pictures into vectors.
        finish: writes the audit of several identifications and makes their answers; called in one thread.
        pixels: largest picture.
        seconds: longest wait of one question.
        threads: that decode; one slow picture holds up one of them.
    """

    def __init__(
        self,
        gallery: WatchedGallery,
        encoder: BatchingEncoder,
        finish: Finish,
        *,
        pixels: int,
        seconds: float,
        threads: int,
    ) -> None:
        self._gallery = gallery
        self._encoder = encoder
        self._finish = finish
        self._pixels = pixels
        self._seconds = seconds
        self._asked: SimpleQueue[Ask | None] = SimpleQueue()
        self._encoded: SimpleQueue[Ask | None] = SimpleQueue()
        self._decoders = [
            threading.Thread(target=self._decode, name=f"decode-{i}", daemon=True) for i in range(threads)
        ]
        self._finisher = threading.Thread(target=self._search, name="search", daemon=True)
        for thread in (*self._decoders, self._finisher):
            thread.start()

    async def ask(
        self, question: Question, caller: str, request: str, *, uploads: Sequence[bytes] = (), vectors: Any = None
    ) -> bytes:
        """The answer as JSON, to uploaded pictures or to vectors (several are one tracklet).

        Raises:
            Refusal: a picture that is none; 503, overloaded, or it took too long.
            PasserbyError: the gallery cannot answer.
        """
        ask = Ask(question, caller, request, asyncio.get_running_loop().create_future(), uploads, vectors)
        self._asked.put(ask)
        try:
            async with asyncio.timeout(self._seconds):
                return await ask.answered
        except TimeoutError:
            ask.give_up()
            raise Refusal(503, "the images waited too long for the encoder", retry_after=5) from None

    def close(self) -> None:
        """Finish what is on its way, then stop; the encoder must still run."""
        for _ in self._decoders:
            self._asked.put(None)
        for thread in self._decoders:
            thread.join()
        self._encoder.close()
        self._encoded.put(None)
        self._finisher.join()

    def _decode(self) -> None:
        while (ask := self._asked.get()) is not None:
            if ask.answered.done():
                continue
            try:
                if ask.given is not None:
                    ask.vectors = unit_vectors(ask.given, self._encoder.dim)
                    self._encoded.put(ask)
                    continue
                pictures = [open_picture(d, i, max_pixels=self._pixels) for i, d in enumerate(ask.uploads)]
                ask.encoding = self._encoder.submit(self._encoder.prepare(pictures))
            except Exception as error:  # whatever it is, who waits must hear of it, and the thread live on
                _deliver([(ask, error)])
            else:
                ask.encoding.add_done_callback(partial(self._take, ask))

    def _take(self, ask: Ask, done: Future[Float32]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            _deliver([(ask, error)])
            return
        ask.vectors = done.result()
        self._encoded.put(ask)

    def _search(self) -> None:
        while group := _all_waiting(self._encoded):
            try:
                with self._gallery.use() as gallery:
                    outcomes = self._outcomes(gallery, group)
            except Exception as error:  # as above
                outcomes = [(ask, error) for ask in group]
            _deliver(outcomes)

    def _outcomes(self, gallery: Gallery, group: Sequence[Ask]) -> list[tuple[Ask, Outcome]]:
        found: list[tuple[Ask, Identification]] = []
        refused: list[tuple[Ask, Outcome]] = []
        alike: dict[Any, list[Ask]] = {}
        for ask in group:
            alike.setdefault(_filters(ask.question), []).append(ask)
        for asks in alike.values():
            _identify(gallery, asks, found, refused)
        answers = self._finish(gallery, found)
        return [*refused, *((ask, answer) for (ask, _), answer in zip(found, answers, strict=True))]


def _filters(question: Question) -> tuple[Any, ...]:
    """What questions must have in common to be searched together; the camera may differ."""
    q = question
    return (q.exclude_camera, q.after, q.before, q.threshold, q.top, q.score)


def _identify(
    gallery: Gallery,
    asks: Sequence[Ask],
    found: list[tuple[Ask, Identification]],
    refused: list[tuple[Ask, Outcome]],
) -> None:
    """Search for all together; where one of them cannot be searched for, one by one."""
    q = asks[0].question
    try:
        identifications = gallery.identify_many(
            np.concatenate([mean_vector(ask.vectors) for ask in asks if ask.vectors is not None]),
            cameras=[ask.question.camera for ask in asks],
            exclude_camera=q.exclude_camera,
            after=q.after,
            before=q.before,
            threshold=q.threshold,
            top=q.top,
            score=q.score,
        )
    except PasserbyError as error:
        if len(asks) == 1:
            refused.append((asks[0], error))
            return
        for ask in asks:
            _identify(gallery, [ask], found, refused)
    else:
        found += zip(asks, identifications, strict=True)


def _all_waiting(line: SimpleQueue[T | None]) -> list[T]:
    """Blocks for the first; [] at the end of the line."""
    first = line.get()
    if first is None:
        return []
    group = [first]
    with suppress(Empty):
        while (item := line.get_nowait()) is not None:
            group.append(item)
        line.put(None)  # the end is for the next call
    return group


def _deliver(outcomes: Sequence[tuple[Ask, Outcome]]) -> None:
    """Hand outcomes to those who wait, all in one message to the event loop."""
    if outcomes:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            outcomes[0][0].answered.get_loop().call_soon_threadsafe(_resolve, outcomes)


def _resolve(outcomes: Sequence[tuple[Ask, Outcome]]) -> None:
    for ask, outcome in outcomes:
        if ask.answered.done():
            continue
        if isinstance(outcome, bytes):
            ask.answered.set_result(outcome)
        else:
            ask.answered.set_exception(outcome)

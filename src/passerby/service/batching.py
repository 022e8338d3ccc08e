"""Dynamic batching: images of many requests that wait when the encoder is free go through it together.

There is no artificial delay: an idle encoder starts at once, a busy one takes what arrived meanwhile as its next batch.
A batch is of 1, 2, 4, 8, ... images where requests are of one each: torch keeps memory for every size that it has seen.
"""

from __future__ import annotations

import threading
import time as clock
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from passerby.array_types import Float32, UInt8
from passerby.images.decode import resize_image
from passerby.models.encoder import Encoder
from passerby.models.engines.preprocessing import Preprocessing
from passerby.service.errors import ServiceError


@dataclass(frozen=True)
class _Job:
    images: torch.Tensor
    done: Future[Float32]


class BatchingEncoder:
    """An encoder for many threads at once (it is what the service's gallery encodes with).

    Args:
        encoder: does the work, in one thread of this object.
        batch: most images in one pass.
        queue: most images waiting; beyond, `encode` raises.
        seconds: longest wait of one call.
        on_batch: called with the number of images and the seconds of each pass.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        batch: int,
        queue: int,
        seconds: float,
        on_batch: Callable[[int, float], None] = lambda images, seconds: None,
    ) -> None:
        self._encoder = encoder
        self._batch = batch
        self._queue = queue
        self._seconds = seconds
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._closed = False
        self._pace = 0.0  # seconds per image, smoothed
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._encoder.dim

    @property
    def fingerprint(self) -> str:
        """Of the encoder."""
        return self._encoder.fingerprint

    @property
    def threshold(self) -> float | None:
        """Calibrated threshold of the encoder."""
        return self._encoder.threshold

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What `passerby calibrate` found for the encoder."""
        return self._encoder.calibration

    @property
    def preprocessing(self) -> Preprocessing:
        """Of the encoder."""
        return self._encoder.preprocessing

    @property
    def waiting(self) -> int:
        """Images that wait."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether it still takes images."""
        return self._thread.is_alive() and not self._closed

    def encode(self, images: Sequence[UInt8], /) -> Float32:
        """Unit vectors [n, dim] of RGB uint8 pictures; blocks until they are there.

        Raises:
            ServiceError: 503, the queue is full, the wait was too long, or the service is stopping.
        """
        done = self.submit(self.prepare(images))
        try:
            return done.result(self._seconds)
        except FutureTimeout:
            done.cancel()
            raise ServiceError(503, "the images waited too long for the encoder", retry_after=5) from None

    def prepare(self, images: Sequence[UInt8]) -> torch.Tensor:
        """Uint8 [n, 3, height, width] at the encoder's size; in the caller's thread, so that its own only encodes."""
        size = self._encoder.preprocessing
        return torch.from_numpy(np.stack([resize_image(i, size.height, size.width) for i in images])).permute(
            0, 3, 1, 2
        )

    def submit(self, images: torch.Tensor) -> Future[Float32]:
        """As `encode`, of prepared images, without waiting; a future that is cancelled in time is not encoded.

        Raises:
            ServiceError: 503, the queue is full, or the service is stopping.
        """
        job = _Job(images, Future())
        with self._changed:
            if self._closed:
                raise ServiceError(503, "the service is stopping", retry_after=5)
            if self._waiting and self._waiting + len(images) > self._queue:
                raise ServiceError(503, "too many images are waiting", retry_after=self._waiting * self._pace)
            self._jobs.append(job)
            self._waiting += len(images)
            self._changed.notify()
        return job.done

    def close(self) -> None:
        """Encode what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while jobs := self._next_jobs():
            wanted = [job for job in jobs if job.done.set_running_or_notify_cancel()]
            if wanted:
                self._encode(wanted)

    def _encode(self, jobs: Sequence[_Job]) -> None:
        """In one pass; where that fails, one by one, so that only those at fault fail."""
        started = clock.perf_counter()
        try:
            images = torch.cat([job.images for job in jobs])
            vectors = self._encoder.encode_batch(images, flip=True).cpu().numpy()
        except Exception as error:  # of any class: the callers must get it, and the thread go on
            if len(jobs) == 1:
                jobs[0].done.set_exception(error)
                return
            for job in jobs:
                self._encode([job])
            return
        seconds = clock.perf_counter() - started
        self._pace = 0.8 * self._pace + 0.2 * seconds / len(vectors)
        ends = np.cumsum([len(job.images) for job in jobs])
        for job, rows in zip(jobs, np.split(vectors, ends[:-1]), strict=True):
            job.done.set_result(rows)
        self._on_batch(len(vectors), seconds)

    def _next_jobs(self) -> list[_Job]:
        """Whole jobs, as many as fit one pass (at least one); none when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            most = _power_of_two(min(self._waiting, self._batch))
            taken: list[_Job] = []
            count = 0
            while self._jobs and (not taken or count + len(self._jobs[0].images) <= most):
                taken.append(self._jobs.popleft())
                count += len(taken[-1].images)
            self._waiting -= count
            return taken


def _power_of_two(count: int) -> int:
    """The largest that is not above `count`; 1 for less."""
    return 1 << max(count.bit_length() - 1, 0)

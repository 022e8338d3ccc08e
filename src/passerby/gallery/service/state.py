"""What all requests of one service share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from passerby.gallery.gallery import Gallery
from passerby.gallery.service import logs
from passerby.gallery.service.batching import BatchingEncoder
from passerby.gallery.service.calibration import band_around
from passerby.gallery.service.keys import KeyRing
from passerby.gallery.service.limits import Limits
from passerby.gallery.service.metrics import Metrics
from passerby.gallery.service.refusal import Refusal
from passerby.gallery.service.watch import WatchedGallery
from passerby.models.encoder import Encoder

T = TypeVar("T")
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
        self.in_work = 0
        self._workers = ThreadPoolExecutor(limits.requests, thread_name_prefix="work")
        self._lookers = ThreadPoolExecutor(_LOOKING, thread_name_prefix="look")

    async def work(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that encodes or changes something, in a thread.

        Raises:
            Refusal: 503, too many are running.
        """
        if self.in_work >= self.limits.requests:
            raise Refusal(503, "too many requests are being worked on", retry_after=1)
        self.in_work += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._with_gallery, task)
        finally:
            self.in_work -= 1

    async def look(self, task: Callable[[Gallery], T]) -> T:
        """Run a task that only reads, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._lookers, self._with_gallery, task)

    def _with_gallery(self, task: Callable[[Gallery], T]) -> T:
        with self.gallery.use() as gallery:
            return task(gallery)

    def band(self, threshold: float | None) -> tuple[float, float] | None:
        """Distances around a threshold at which a person should look."""
        return band_around(threshold, self.calibration)

    def audit(
        self, gallery: Gallery, action: str, actor: str, *, identity: str | None = None, **detail: float | str
    ) -> None:
        """Note in the gallery's own log who asked for whom; of a gallery that is only read, in the service's log."""
        if self.gallery.read_only:
            logs.write("audit", {"action": action, "key": actor, **detail})
        else:
            gallery.log(action, identity=identity, actor=actor, **detail)

    def close(self) -> None:
        """Finish what is in work, then close."""
        self._workers.shutdown()
        self._lookers.shutdown()
        self.encoder.close()
        self.gallery.close()

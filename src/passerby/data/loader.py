"""Batches for training, made ahead of time in background threads.

Training:

    loader = TrainLoader(store, labels, camids, sampler, augmenter, seed=0, device=device)
    for batch in loader.epoch(epoch, start_step=step):   # batch.images: float32, augmented, normalised, on the device
        ...
    loader.waiting   # share of the time that training waited for images

On the CPU one background thread writes augmented batches straight from the store into reused buffers. For a GPU it
assembles uint8 batches in pinned memory; they travel and are augmented on the device, in the order of its stream.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from passerby.array_types import Int64
from passerby.data.augment import Augmenter, Draw
from passerby.data.sampling.sampler import Sampler
from passerby.images.cache import ImageStore
from passerby.images.decode import decoding_threads

_PIECE = 8  # images that a thread decodes before it augments them


@dataclass(frozen=True)
class Batch:
    """Some images and what is known of them.

    Attributes:
        images: [B, 3, H, W], channels-last: uint8 as stored, or float32 ready for the network.
        labels: int64 [B]: training labels 0..n-1.
        indices: int64 [B]: positions in the list of samples.
        camids: int64 [B]: 0-based cameras, -1 unknown.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    camids: Tensor


class TrainLoader:
    """Augmented training batches in the sampler's order.

    Args:
        store: pixels of the training images.
        labels: training label of each image, [n].
        camids: camera of each image, [n].
        sampler: which images form a batch (see `passerby.data.sampling.sampler`).
        augmenter: random changes; seeded by (seed, epoch, step) for the global batch, so that nothing depends on
            threads, nor on how many processes share the batch.
        views: random changes of all images, drawn beforehand; epoch e takes the (e modulo their number)-th. None: other
            ones at every look.
        seed: the run's seed.
        rank: this process.
        world_size: how many processes share each batch.
        device: where the network is.
        prefetch: batches made ahead.
    """

    def __init__(
        self,
        store: ImageStore,
        labels: Sequence[int],
        camids: Sequence[int],
        sampler: Sampler,
        augmenter: Augmenter,
        *,
        views: Sequence[Draw] | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        prefetch: int = 2,
    ) -> None:
        self.store = store
        self.labels = np.asarray(labels, np.int64)
        self.camids = np.asarray(camids, np.int64)
        self.sampler = sampler
        self.augmenter = augmenter
        self.views = views
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.device = torch.device(device)
        self.prefetch = prefetch
        self._buffers = _Buffers()
        self._threads = decoding_threads()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="augment")
        self._waited = self._lasted = 0.0

    def steps(self, epoch: int) -> int:
        """Batches in the epoch."""
        return self.sampler.steps(epoch)

    @property
    def waiting(self) -> float:
        """Share of the time since the last epoch began that its consumer waited for a batch."""
        return self._waited / self._lasted if self._lasted else 0.0

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from `start_step` on, exactly as if the earlier ones had been taken.

        Raises:
            ImageError: an image cannot be read (only if the store has no cache).
        """
        batches = self.sampler.epoch_batches(epoch)
        works = [
            (lambda step=step: self._assemble(epoch, step, batches[step])) for step in range(start_step, len(batches))
        ]
        self._waited = self._lasted = 0.0
        began = asked = time.perf_counter()
        for step, batch in enumerate(_ahead(works, self.prefetch), start_step):
            now = time.perf_counter()
            self._waited += now - asked
            self._lasted = now - began
            yield self._to_device(batch, epoch, step)
            asked = time.perf_counter()

    def _assemble(self, epoch: int, step: int, indices: Int64) -> Batch:
        size = (self.augmenter.input.height, self.augmenter.input.width)
        if self.device.type != "cpu":
            shape = (len(indices), self.store.height, self.store.width, 3)
            # torch keeps pinned memory for the next batch
            pinned = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
            self.store.fetch(indices, out=pinned.numpy())
            images = pinned.permute(0, 3, 1, 2)
        elif (self.store.height, self.store.width) == self.augmenter.source:
            out = self._buffers.take((len(indices), *size, 3))
            self._fill(indices, self._draw(epoch, step, indices), out)
            images = torch.from_numpy(out).permute(0, 3, 1, 2)
            del out  # the tensor alone keeps the buffer from being used again
        else:
            stored = torch.from_numpy(self.store.fetch(indices)).permute(0, 3, 1, 2)
            images = self.augmenter.change(stored, self._draw(epoch, step, indices))
        labels, camids = self.labels[indices], self.camids[indices]
        return Batch(images, torch.from_numpy(labels), torch.from_numpy(indices), torch.from_numpy(camids))

    def _fill(self, indices: Int64, draw: Draw, out: npt.NDArray[np.float32]) -> None:
        """Write augmented images, each thread its share, a few at a time so that they stay in the processor's cache."""

        def share(begin: int, end: int) -> None:
            kept = self.store.pixels
            memory = np.empty((_PIECE, *self.augmenter.source, 3), np.uint8)  # memory that is not touched costs nothing
            for start in range(begin, end, _PIECE):
                own = slice(start, min(start + _PIECE, end))
                n = own.stop - own.start
                if kept is not None:
                    self.augmenter.write(kept, indices[own], draw.part(own), out[own])
                else:
                    decoded = self.store.read(indices[own], memory[:n])
                    self.augmenter.write(decoded, np.arange(n), draw.part(own), out[own])

        workers = min(self._threads, len(indices))
        bounds = [len(indices) * i // workers for i in range(workers + 1)]
        list(self._pool.map(share, bounds[:-1], bounds[1:]))

    def _to_device(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.device.type == "cpu":
            return batch
        images = batch.images.to(self.device, non_blocking=True)
        labels = self._pinned_labels(batch.labels).to(self.device, non_blocking=True)
        draw = self._draw(epoch, step, batch.indices.numpy())
        return Batch(self.augmenter.change(images, draw), labels, batch.indices, batch.camids)

    def _pinned_labels(self, labels: Tensor) -> Tensor:
        return labels.pin_memory() if self.device.type == "cuda" else labels

    def _draw(self, epoch: int, step: int, indices: Int64) -> Draw:
        """The random changes of a batch."""
        if self.views is not None:
            return self.views[epoch % len(self.views)].part(indices)
        seed = (self.seed, epoch, step, 0)
        return self.augmenter.draw(len(indices), seed, rank=self.rank, world_size=self.world_size)


# References that count for an array which only a list holds. A tensor made from it, whose memory it is, holds one more
# for as long as that tensor or any view of it lives.
_alone = [np.empty(0)]
_HELD_BY_A_LIST = sys.getrefcount(_alone[0])


class _Buffers:
    """Arrays that are used again once nobody holds them: fresh memory costs as much as filling it."""

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[np.float32]] = []

    def take(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        self._arrays = [a for a in self._arrays if a.shape == shape]
        for i in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[i]) == _HELD_BY_A_LIST:
                return self._arrays[i]
        self._arrays.append(np.empty(shape, np.float32))
        return self._arrays[-1]


def _ahead(works: Sequence[Callable[[], Batch]], prefetch: int) -> Iterator[Batch]:
    """Results of `works` in order, made by one background thread, at most `prefetch` ahead."""
    ready: queue.Queue[Batch | BaseException] = queue.Queue(max(1, prefetch))
    stop = threading.Event()

    def put(item: Batch | BaseException) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def produce() -> None:
        for work in works:
            if stop.is_set():
                return
            try:
                batch = work()
            except BaseException as error:  # handed to the consumer, which raises it
                return put(error)
            put(batch)
            del batch

    thread = threading.Thread(target=produce, name="batches", daemon=True)
    thread.start()
    try:
        for _ in works:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
            del item
    finally:
        stop.set()
        thread.join()

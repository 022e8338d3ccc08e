"""Images of any kind as batches of the input size, decoded ahead in background threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from passerby.images.decode import GREY_BITS, decoding_threads, resize_image
from passerby.models.image_inputs import pixels_of

_AHEAD = 2  # batches that are being prepared while the caller works on one


def prepared_batches(
    images: Any, height: int, width: int, batch_size: int, *, bits: int = GREY_BITS
) -> Iterator[Tensor]:
    """Uint8 batches [at most batch_size, 3, height, width], in order; the next two are being prepared meanwhile.

    Args:
        images: what `as_list` gives: a sequence of paths and arrays, or a tensor or array of many images.
        height: pixels.
        width: pixels.
        batch_size: images a batch; the last one may be smaller.
        bits: as of `read_image`.

    Raises:
        ImageError: an image cannot be read.
    """
    prepare = _Preparation(height, width, bits)
    chunks = iter([images[i : i + batch_size] for i in range(0, len(images), batch_size)])
    with ThreadPoolExecutor(decoding_threads(), thread_name_prefix="prepare") as pool:
        waiting = deque(prepare.submit(pool, chunk) for chunk in islice(chunks, _AHEAD))
        try:
            while waiting:
                parts = [future.result() for future in waiting.popleft()]
                waiting.extend(prepare.submit(pool, chunk) for chunk in islice(chunks, 1))
                yield torch.cat(parts) if len(parts) > 1 else parts[0]
        finally:  # an unreadable image, or a caller who has seen enough
            pool.shutdown(cancel_futures=True)


class _Preparation:
    """Decodes and resizes to one size."""

    def __init__(self, height: int, width: int, bits: int) -> None:
        self.height, self.width, self.bits = height, width, bits

    def submit(self, pool: ThreadPoolExecutor, items: Any) -> list[Future[Tensor]]:
        """Prepare a batch in as many parts as there are threads."""
        if isinstance(items, Tensor) and tuple(items.shape[2:]) == (self.height, self.width):
            return [pool.submit(lambda: items)]
        step = -(-len(items) // decoding_threads())
        return [pool.submit(self._pixels, items[i : i + step]) for i in range(0, len(items), step)]

    def _pixels(self, items: Any) -> Tensor:
        batch = np.stack([resize_image(pixels_of(item, bits=self.bits), self.height, self.width) for item in items])
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

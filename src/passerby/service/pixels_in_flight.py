"""A bound on what is decoded: pixels of one request, and of all requests at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from passerby.service.errors import ServiceError
from passerby.service.limits import Limits
from passerby.service.uploads import pixels_to_decode


class PixelsInFlight:
    """Counts the pixels that are being decoded; they are known from the headers, before anything is decoded.

    Args:
        limits: of the service.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self.held = 0

    @contextmanager
    def hold(self, images: Sequence[bytes]) -> Iterator[None]:
        """Count the images of one request for the time of a block.

        Raises:
            ServiceError: 413 too many pixels in one image or together; 503 too many with those of others; 415, 422 an
                image that cannot be read.
        """
        limits = self._limits
        pixels = sum(pixels_to_decode(data, i, max_pixels=limits.pixels) for i, data in enumerate(images))
        if pixels > max(limits.request_pixels, limits.pixels):
            raise ServiceError(
                413,
                f"the images together have {pixels:,} pixels (each pass of a JPEG counted), more than the limit of "
                f"{limits.request_pixels:,}; send fewer, or crop them",
            )
        with self._lock:
            if self.held and self.held + pixels > limits.pixels_in_flight:
                raise ServiceError(503, "too many pixels are being decoded", retry_after=1)
            self.held += pixels
        try:
            yield
        finally:
            with self._lock:
                self.held -= pixels

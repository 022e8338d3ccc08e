"""Requests per second of each key: one token bucket per key."""

from __future__ import annotations

import threading
import time as clock

from passerby.service.api_keys import Key
from passerby.service.errors import ServiceError


class RateLimiter:
    """Counts the requests of each key against its rate; a bucket holds two seconds' worth. May be used by many threads.

    Args:
        rate: requests per second of a key without a rate of its own; 0: no limit.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def count(self, key: Key) -> None:
        """Count one request of a key.

        Raises:
            ServiceError: 429, its bucket is empty.
        """
        rate = self._rate if key.rate is None else key.rate
        if not rate:
            return
        size = max(1.0, 2 * rate)
        with self._lock:
            now = clock.monotonic()
            level, at = self._buckets.get(key.digest, (size, now))
            level = min(size, level + (now - at) * rate)
            self._buckets[key.digest] = (level - 1, now) if level >= 1 else (level, now)
        if level < 1:
            raise ServiceError(
                429, f"more than {rate:g} requests a second with this key", retry_after=(1 - level) / rate
            )

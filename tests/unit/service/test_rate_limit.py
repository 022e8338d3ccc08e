"""Requests are limited by a token bucket per key."""

from __future__ import annotations

import pytest

from passerby.service.api_keys import Key, digest_of
from passerby.service.errors import ServiceError
from passerby.service.rate_limit import RateLimiter


def test_a_bucket_holds_two_seconds_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("passerby.service.rate_limit.clock.monotonic", lambda: now[0])
    slow, free = Key("slow", "read", digest_of("a"), 2.0), Key("free", "read", digest_of("b"), 0.0)
    limiter = RateLimiter(100)
    for _ in range(4):
        limiter.count(slow)
    with pytest.raises(ServiceError) as caught:
        limiter.count(slow)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "1")
    for _ in range(1000):
        limiter.count(free)
    now[0] += 0.5
    limiter.count(slow)
    with pytest.raises(ServiceError):
        limiter.count(slow)
    now[0] += 1000
    for _ in range(4):
        limiter.count(slow)
    with pytest.raises(ServiceError):
        limiter.count(slow)

"""Bounds of one service: sizes, rates and times."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Bounds that keep one caller, or one hostile image, from making the service unavailable to the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: int = Field(default=16 * 2**20, ge=1024)
    """Largest request body; more is refused with 413."""
    bodies_bytes: int = Field(default=256 * 2**20, ge=1024)
    """Most bytes of request bodies in memory at once, over all connections; beyond, 503 and Retry-After. One body of
    `body_bytes` fits in any case."""
    pixels: int = Field(default=16_000_000, ge=1)
    """Pixels of the largest image, read from its header before it is decoded; more is refused with 413."""
    request_pixels: int = Field(default=64_000_000, ge=1)
    """Pixels of all images of one request together, each pass over a JPEG of many scans counted; more: 413."""
    pixels_in_flight: int = Field(default=192_000_000, ge=1)
    """Pixels that are decoded at once, over all requests; beyond, 503 and Retry-After. One request fits in any case."""
    images: int = Field(default=64, ge=1)
    """Most images (or vectors) of one request, which is the longest tracklet."""
    batch: int = Field(default=64, ge=1)
    """Most images in one pass of the encoder."""
    queue: int = Field(default=256, ge=1)
    """Most images that wait for the encoder; beyond, requests are refused with 503 and Retry-After."""
    requests: int = Field(default=64, ge=1)
    """Most requests in work at once; beyond, 503 and Retry-After."""
    connections: int = Field(default=512, ge=1)
    """Most open connections; beyond, 503."""
    rate: float = Field(default=50.0, ge=0)
    """Requests per second and key, where the key has no rate of its own; beyond, 429 and Retry-After. 0: no limit."""
    header_seconds: float = Field(default=10.0, gt=0)
    """A client that takes longer to send its request line and headers is disconnected."""
    body_seconds: float = Field(default=30.0, gt=0)
    """A client that takes longer to send its body gets 408."""
    write_seconds: float = Field(default=30.0, gt=0)
    """A client that takes nothing of its answer for so long is disconnected."""
    encode_seconds: float = Field(default=30.0, gt=0)
    """A request whose images wait longer for the encoder gets 503; nothing was changed then."""
    shutdown_seconds: int = Field(default=30, ge=1)
    """How long requests in flight may take to finish when the service is stopped."""
    subscribers: int = Field(default=16, ge=1)
    """Most who listen to /v1/events at once; beyond, 503 and Retry-After."""
    events_waiting: int = Field(default=200, ge=1)
    """Most events that wait for one of them; beyond, the oldest are dropped, and an event says how many."""
    events_seconds: float = Field(default=1.0, gt=0)
    """Time between two looks for new sightings, while anybody listens."""
    heartbeat_seconds: float = Field(default=15.0, gt=0)
    """A comment is sent on /v1/events when nothing else was for so long."""
    visit_seconds: float = Field(default=300.0, ge=0)
    """A visit ends when a person was not seen for so long; the next sighting begins another one."""

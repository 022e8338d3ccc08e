"""New sightings of the gallery, whoever stores them, for those who listen: a bounded number, each with a bounded queue.

The store is asked for what is newer than the last sighting known, so that sightings by other processes (a camera that
is watched, a command) come, too. Nothing is asked while nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from passerby.errors import PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.service import logs
from passerby.service.errors import ServiceError
from passerby.service.schemas import SightingEvent, SightingSummary
from passerby.service.visits import Visits

_AT_ONCE = 500


class Subscriber:
    """One who listens; what it does not take in time is dropped, and `lost` counts it.

    Args:
        most: events that wait for it.
        counted: whether it is one of those whose number is bounded.
    """

    def __init__(self, most: int, *, counted: bool = True) -> None:
        self.counted = counted
        self.queue: asyncio.Queue[SightingEvent | None] = asyncio.Queue(most)
        self.lost = 0

    def put(self, event: SightingEvent | None) -> None:
        """Add an event, in the place of the oldest where there is no room. None: the feed has ended."""
        while True:
            try:
                self.queue.put_nowait(event)
                return
            except asyncio.QueueFull:
                with suppress(asyncio.QueueEmpty):
                    self.queue.get_nowait()
                    self.lost += 1


class SightingFeed:
    """Asks for new sightings and gives them to all subscribers; used by the event loop only.

    Args:
        query: runs a task with the gallery in a thread.
        seconds: between two looks.
        most: subscribers.
        waiting: events that wait for one subscriber.
        visit_seconds: see `Visits`.
    """

    def __init__(
        self,
        query: Callable[[Callable[[Gallery], Any]], Awaitable[Any]],
        *,
        seconds: float,
        most: int,
        waiting: int,
        visit_seconds: float,
    ) -> None:
        self._query = query
        self._seconds = seconds
        self._most = most
        self._waiting = waiting
        self._visit_seconds = visit_seconds
        self._visits = Visits(visit_seconds)
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return sum(subscriber.counted for subscriber in self._subscribers)

    def check_room(self) -> None:
        """See whether one more may listen.

        Raises:
            ServiceError: 503, too many listen already, or the service stops.
        """
        if self._closed or len(self) >= self._most:
            raise ServiceError(503, "too many are listening for sightings", retry_after=30)

    def subscribe(self, *, waiting: int | None = None, counted: bool = True) -> Subscriber:
        """Listen from now on; see `Subscriber`."""
        subscriber = Subscriber(waiting or self._waiting, counted=counted)
        self._subscribers.add(subscriber)
        if self._closed:
            subscriber.put(None)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Listen no more; the last one ends the looking."""
        self._subscribers.discard(subscriber)
        if not self._subscribers and self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """End all subscriptions."""
        self._closed = True
        for subscriber in list(self._subscribers):
            subscriber.put(None)

    async def missed(self, last: int) -> tuple[list[SightingEvent], int]:
        """What was stored after a sighting, the oldest first, and how many more there were before these."""
        found: list[SightingSummary] = await self._query(partial(_all_newer, last))
        visits = Visits(self._visit_seconds)
        events = [SightingEvent(**one.model_dump(), visit=visits.begins(one)) for one in found]
        return events[-_AT_ONCE:], max(0, len(events) - _AT_ONCE)

    async def _look(self) -> None:
        last: int | None = None
        while True:
            try:
                last = await self._take(last)
            except PasserbyError as error:
                logs.write("new sightings cannot be read", {"error": type(error).__name__}, level=logging.WARNING)
            await asyncio.sleep(self._seconds)

    async def _take(self, last: int | None) -> int:
        """Give what is newer than `last` to all; the newest id."""
        found_last, summaries = await self._query(partial(_newer, last))
        for summary in summaries:
            event = SightingEvent(**summary.model_dump(), visit=self._visits.begins(summary))
            for subscriber in self._subscribers:
                subscriber.put(event)
        return int(found_last)


def _newer(last: int | None, gallery: Gallery) -> tuple[int, list[SightingSummary]]:
    if last is None:
        return gallery.last_sighting(), []
    found = sorted(gallery.sightings(newer_than=last), key=lambda one: one.id)[:_AT_ONCE]
    return (found[-1].id if found else last), [SightingSummary.of(one) for one in found]


def _all_newer(last: int, gallery: Gallery) -> list[SightingSummary]:
    return [SightingSummary.of(one) for one in sorted(gallery.sightings(newer_than=last), key=lambda one: one.id)]

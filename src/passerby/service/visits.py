"""Visits: sightings of one person with no long break between them, so that one visit is one alarm."""

from __future__ import annotations

from collections import OrderedDict

from passerby.gallery.times import FIRST_DATE
from passerby.service.schemas import SightingSummary

_MOST = 10_000


class Visits:
    """Says which sightings begin a visit.

    What counts is when somebody was seen where that is a date, and else when the sighting was stored. In memory only:
    after a start everybody's next sighting begins a visit.

    Args:
        seconds: a visit ends when the person was not seen for so long; 0: each sighting is a visit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: OrderedDict[str, float] = OrderedDict()

    def begins(self, sighting: SightingSummary) -> bool:
        """Whether a sighting begins a visit; each is asked for once, in the order in which they are stored."""
        dated = sighting.start is not None and sighting.end is not None and sighting.start >= FIRST_DATE
        start = sighting.start if dated and sighting.start is not None else sighting.stored
        end = sighting.end if dated and sighting.end is not None else sighting.stored
        before = self._last.pop(sighting.identity, None)
        if before is not None and not dated and start < before - self._seconds:
            before = None  # the clock was put back
        self._last[sighting.identity] = end if before is None else max(before, end)
        while len(self._last) > _MOST:
            self._last.popitem(last=False)
        return before is None or start - before > self._seconds

"""Which identifications were answered: a decision can only be about one of them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from passerby.gallery.gallery import Gallery

_ACTIONS = frozenset({"identify", "observe", "seen"})
_REMEMBERED = 10_000
_LOOKED_AT = 10_000  # entries of the log, for what was answered by another process, or before a restart


class MadeRequests:
    """Ids of the newest identifications and observations that were answered."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request: str) -> None:
        """Remember one."""
        with self._lock:
            self._ids[request] = None
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)

    def was_made(self, request: str, gallery: Gallery) -> bool:
        """Whether it was answered here, or stands in the audit."""
        if request in self._ids:
            return True
        newest = gallery.history(limit=_LOOKED_AT)
        return any(event.action in _ACTIONS and event.detail.get("request") == request for event in newest)

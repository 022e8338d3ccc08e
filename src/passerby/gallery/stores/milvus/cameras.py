"""The cameras of a gallery in Milvus, whose rows hold names: one camera, whatever the writing of a name.

Rows of older versions may have one camera in several writings (1, 01, 1.0), or -1, which stands for no known camera.
Only of numbers can there be several: all other names are brought to one form before they are stored.
"""

from __future__ import annotations

import json
import math
import re
import time as clock
from collections.abc import Collection, Iterator

from passerby.gallery.stores.milvus.connection import ROWS_AT_ONCE, Connection
from passerby.plain_names import is_unknown, plain_key

_NUMBER = re.compile(r"-?\d+")
_ASKED_SECONDS = 5.0  # how long it is not looked whether another program has stored a new writing


class CameraNames:
    """How cameras that are called by numbers are written, asked for when the first such is met.

    Args:
        connection: of the gallery.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._writings: dict[str, list[str]] = {}
        self._seen: set[int] = set()
        self._asked = -math.inf

    def one(self, name: str | None) -> str | None:
        """The writing under which a camera is stored and shown; None for none, and for what stands for none."""
        if not name or is_unknown(name):
            return None
        key = plain_key(name)
        if not _NUMBER.fullmatch(key):
            return name
        self._look()
        return self._writings.setdefault(key, [name])[0]

    def all_writings(self, names: Collection[str]) -> frozenset[str]:
        """These names in all writings that are stored."""
        numbers = [key for key in map(plain_key, names) if _NUMBER.fullmatch(key)]
        if numbers:
            self._look()
        return frozenset(names).union(*(self._writings.get(key, ()) for key in numbers))

    def _look(self) -> None:
        """Know the writings that are stored."""
        if clock.monotonic() - self._asked <= _ASKED_SECONDS:
            return
        with self._connection.use():
            for name in sorted(set(self._new_in_rows())):
                writings = self._writings.setdefault(plain_key(name), [])
                if name not in writings:
                    writings.append(name)
        self._asked = clock.monotonic()

    def _new_in_rows(self) -> Iterator[str]:
        """Names in rows of cameras that were not met yet."""
        for collection, field in (
            (self._connection.observations_name, "camera"),
            (self._connection.sightings_name, "body"),
        ):
            if not self._connection.has(collection):
                continue
            while rows := self._connection.some(
                collection, f"camera_key not in {sorted({0, *self._seen})}", ["camera_key", field], ROWS_AT_ONCE
            ):
                for row in rows:
                    if row["camera_key"] not in self._seen:
                        self._seen.add(row["camera_key"])
                        yield row["camera"] if field == "camera" else json.loads(row["body"])["camera"]

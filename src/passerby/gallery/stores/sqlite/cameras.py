"""The cameras of a gallery's file: one number each, whatever the writing of a name.

Older versions gave each writing (1, 01, 1.0) a number of its own, and -1, which stands for no known camera, too. Such
files are read as if they had not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from passerby.plain_names import is_unknown, plain_key

NO_CAMERA = -1


class Cameras:
    """What is in the table of cameras.

    Attributes:
        names: of each number, the one under which the camera was stored first; -1 has none.
        first: of each number, the first of the same camera; `NO_CAMERA` where it stands for none.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.first: dict[int, int] = {}
        self._by_key: dict[str, int] = {}

    def read(self, db: sqlite3.Connection) -> Cameras:
        """Itself, with what the table has more than at the last time."""
        last = max(self.first, default=0)
        for number, name in db.execute("SELECT id, name FROM cameras WHERE id > ? ORDER BY id", (last,)):
            key = plain_key(str(name))
            first = NO_CAMERA if is_unknown(key) else self._by_key.setdefault(key, number)
            self.first[number] = first
            if first != NO_CAMERA:
                self.names[number] = self.names.get(first, name)
        return self

    def find(self, name: str) -> int | None:
        """The first number of a camera; None: there is no such camera."""
        return self._by_key.get(plain_key(name))

    def numbers(self, names: Collection[str]) -> list[int]:
        """All numbers of these cameras."""
        wanted = {self.find(name) for name in names}
        return [number for number, first in self.first.items() if first in wanted]

    def one_number(self, column: str) -> str:
        """The SQL expression of a column's camera, under the first number that it has."""
        others = {number: first for number, first in self.first.items() if number != first}
        if not others:
            return column
        cases = " ".join(f"WHEN {n} THEN {'NULL' if one == NO_CAMERA else one}" for n, one in others.items())
        return f"CASE {column} {cases} ELSE {column} END"


def camera_codes(db: sqlite3.Connection, cameras: Sequence[str | None]) -> dict[str | None, int | None]:
    """The number of each camera; new ones get one, and what stands for no known camera has none."""
    codes: dict[str | None, int | None] = {None: None}
    known = Cameras().read(db) if any(camera is not None for camera in cameras) else Cameras()
    for name in dict.fromkeys(camera for camera in cameras if camera is not None):
        if known.find(name) is None and not is_unknown(name):
            db.execute("INSERT INTO cameras (name) VALUES (?)", (name,))
            known.read(db)
        codes[name] = known.find(name)
    return codes

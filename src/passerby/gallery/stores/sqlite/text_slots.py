"""Texts in slots: overwritten in place, so that they can be erased (see schema.py)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from passerby.errors import DamagedGalleryError

_STEP = 256


def write_text(db: sqlite3.Connection, content: Mapping[str, Any], old_slot: int | None) -> int:
    """Store texts padded to a multiple of 256 bytes: in place where they fit, else in a new slot; the slot."""
    data = json.dumps(content, ensure_ascii=False).encode()
    data += b" " * (-len(data) % _STEP)
    if old_slot is not None:
        (size,) = db.execute("SELECT length(data) FROM texts WHERE slot = ?", (old_slot,)).fetchone()
        if size == len(data):
            db.execute("UPDATE texts SET data = ? WHERE slot = ?", (data, old_slot))
            return old_slot
        erase_text(db, old_slot)
    cursor = db.execute("INSERT INTO texts (data) VALUES (?)", (data,))
    return int(cursor.lastrowid or 0)


def erase_text(db: sqlite3.Connection, slot: int) -> None:
    """Overwrite a text with zeros."""
    db.execute("UPDATE texts SET data = zeroblob(length(data)) WHERE slot = ?", (slot,))
    db.execute("INSERT OR IGNORE INTO free_slots VALUES ('text', ?)", (slot,))


def read_text(data: bytes | None, location: str) -> dict[str, Any]:
    """What `write_text` stored.

    Raises:
        DamagedGalleryError: it was erased, or is damaged.
    """
    try:
        content = json.loads(data or b"")
    except ValueError:
        raise DamagedGalleryError(f"{location}: damaged: an identity's name cannot be read") from None
    return dict(content)

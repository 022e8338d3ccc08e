"""Texts in slots: overwritten in place, so that they can be erased (see schema.py)."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from passerby.errors import DamagedGalleryError

_STEP = 256
_SUM = "sum"


def write_text(db: sqlite3.Connection, content: Mapping[str, Any], old_slot: int | None) -> int:
    """Store texts padded to a multiple of 256 bytes: in place where they fit, else in a new slot; the slot."""
    data = _encoded({**content, _SUM: _sum(content)})
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


def read_text(data: bytes | str | None, location: str, *, summed: bool = True) -> dict[str, Any]:
    """What `write_text` stored.

    Args:
        data: the slot.
        location: what the gallery is called in messages.
        summed: it must have a checksum; texts of formats before 7 had none.

    Raises:
        DamagedGalleryError: it was erased, or is damaged.
    """
    raw = data.encode() if isinstance(data, str) else data or b""  # other programs may have written a text
    try:
        content = dict(json.loads(raw.decode()))
    except (ValueError, TypeError):
        raise DamagedGalleryError(f"{location}: damaged: an identity's name cannot be read") from None
    found = content.pop(_SUM, None)
    if (summed or found is not None) and not (_has_sum(raw, found) or found == _sum(content)):
        raise DamagedGalleryError(f"{location}: damaged: an identity's name or notes do not match their checksum")
    return content


def read_texts(slots: Sequence[bytes | str | None], location: str) -> list[dict[str, Any]]:
    """`read_text` of many slots, parsed at once: a quarter of the time.

    Args:
        slots: each with a checksum.
        location: what the gallery is called in messages.

    Raises:
        DamagedGalleryError: one was erased, or is damaged.
    """
    try:
        raws = [slot.encode() if isinstance(slot, str) else slot or b"" for slot in slots]
        contents = json.loads(b"[" + b",".join(raws) + b"]")
        # each text is at least one value, so where there are as many values as texts each is one
        sound = len(contents) == len(raws)
        sound = sound and all(_has_sum(raw, content.pop(_SUM)) for raw, content in zip(raws, contents, strict=True))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        sound = False
    return contents if sound else [read_text(slot, location) for slot in slots]


def sum_texts(db: sqlite3.Connection) -> None:
    """Give a checksum to the texts of a format that had none; those that outgrow their slot get another one."""
    rows = db.execute("SELECT slot, data FROM texts").fetchall()
    for slot, data in rows:
        if not data.strip(b"\0"):
            continue  # erased
        new = write_text(db, read_text(data, "the gallery", summed=False), slot)
        if new != slot:
            for table, column in (("identities", "text"), ("events", "text"), ("sightings", "source")):
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, slot))


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _sum(content: Mapping[str, Any]) -> int:
    """CRC-32 of the text; it is stored within it, and so erased with it."""
    return zlib.crc32(_encoded(content))


def _has_sum(data: bytes, found: object) -> bool:
    """Whether a slot ends with the checksum of what stands before it, as `write_text` has written it."""
    text = data.rstrip(b" ")
    end = f', "{_SUM}": {found}}}'.encode()
    return text.endswith(end) and zlib.crc32(b"}", zlib.crc32(text[: -len(end)])) == found

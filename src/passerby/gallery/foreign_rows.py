"""What comes into a gallery from a file or another store, checked as strictly as what is enrolled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from passerby.errors import GalleryRequestError
from passerby.gallery.argument_checks import identity_name
from passerby.gallery.stores.rows import IdentityRecord
from passerby.gallery.times import to_seconds

LONGEST_TEXT = 100_000


def checked_record(row: Mapping[str, Any], name: object) -> IdentityRecord:
    """An identity to store, as `enroll` would have made it.

    Args:
        row: unknown, notes, consent, expires and created of it.
        name: of it.

    Raises:
        GalleryRequestError: something is missing, or not what it should be.
    """
    return IdentityRecord(
        0,
        identity_name(name),
        notes=_text(row["notes"], "notes"),
        consent=_text(row["consent"], "consent"),
        expires=None if row["expires"] is None else to_seconds(row["expires"], what="expires"),
        unknown=bool(row["unknown"]),
        created=to_seconds(row["created"], what="created"),
    )


def checked_time(time: Any) -> float:
    """Seconds; NaN where not known."""
    if time is None or (isinstance(time, float) and math.isnan(time)):
        return math.nan
    return to_seconds(time, what="time")


def _text(text: object, what: str) -> str:
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or "\0" in text:
        raise GalleryRequestError(f"{what}: expected text of at most {LONGEST_TEXT:,} characters")
    return text

"""Cameras, names and times in the form that Milvus filters by."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from passerby.gallery.stores.rows import Where
from passerby.plain_names import plain_key

EVERYTHING = "id > 0"
_NO_TIME = -1e300


def text_key(text: str) -> int:
    """A positive 63-bit number for a text, for filters without quoting."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def name_keys(names: Iterable[str]) -> list[int]:
    """Numbers to find names by, in any writing; older versions numbered the writing itself."""
    return sorted({text_key(written) for name in names for written in (plain_key(name), name)})


def condition(where: Where) -> str:
    """The expression that lets the same observations pass as `where`."""
    conditions = []
    if where.exclude_cameras:
        conditions.append(f"camera_key not in {sorted(text_key(name) for name in where.exclude_cameras)}")
    if where.exclude_identities:
        conditions.append(f"identity not in {sorted(where.exclude_identities)}")
    if where.after is not None:
        conditions.append(f"time >= {where.after!r}")
    if where.before is not None:
        conditions.append(f"time <= {where.before!r} and time > {_NO_TIME / 2!r}")
    return " and ".join(conditions) or EVERYTHING


def stored_time(moment: float) -> float:
    """Seconds as they are stored; Milvus has no NaN."""
    return _NO_TIME if math.isnan(moment) else moment


def time_of(row: Mapping[str, Any]) -> float:
    """Seconds of a row; NaN where not known."""
    moment = float(row["time"])
    return math.nan if moment <= _NO_TIME / 2 else moment

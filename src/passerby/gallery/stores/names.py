"""One name, one identity: how stores tell names apart, and what becomes of two that older versions let be equal."""

from __future__ import annotations

import hashlib
from collections.abc import Container

LONGEST = 200


def name_hint(name: str) -> int:
    """16 bits of a name's hash: enough to find it by, too few to tell it from others once it is forgotten."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big")


def free_name(name: str, taken: Container[str]) -> str:
    """`name (2)`, or the next number that is free; at most `LONGEST` characters."""
    number = 2
    while True:
        suffix = f" ({number})"
        candidate = name[: LONGEST - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1

"""One name, one identity: hints to find names by, and new names where older versions let two identities have one."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence

from passerby.errors import GalleryRequestError
from passerby.plain_names import plain_key

LONGEST = 200


def name_hint(name: str) -> int:
    """16 bits of a name's hash: enough to find it by, too few to identify it once it is forgotten.

    The same for all writings of a name (see `plain_key`).
    """
    return int.from_bytes(hashlib.sha256(plain_key(name).encode()).digest()[:2], "big")


def check_one_writing(location: str, name: str, found: Sequence[str]) -> None:
    """The identities that have a name, in none of which it is written like this, are one at most.

    Args:
        location: of the gallery.
        name: as it was asked for.
        found: as it is stored.

    Raises:
        GalleryRequestError: several identities of an older version have it.
    """
    if len(found) > 1:
        writings = ", ".join(repr(one) for one in found)
        raise GalleryRequestError(
            f"{location}: {name!r} is the name of several identities ({writings}), which an older version told apart "
            "by how it is written; write it as one of them, and merge or rename the others"
        )


def free_name(name: str, taken: Container[str]) -> str:
    """`name (2)`, or the next number that is free; at most `LONGEST` characters."""
    number = 2
    while True:
        suffix = f" ({number})"
        candidate = name[: LONGEST - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1

"""One person, camera or tracklet, however its name is written: composed or not, padded, 1 or 01 or 1.0."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBER = re.compile(r"(-?)0*(\d{1,1000})(?:\.0*)?")  # Python reads no number of more than 4,300 digits
_INVISIBLE = frozenset({"Cf", "Cc"})  # format characters (joiners, marks of direction, byte order) and control ones


def plain_name(text: str) -> str:
    """The name without what nobody sees: composed (NFC), no invisible characters, no white space around it.

    Args:
        text: as it was written.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    visible = "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) not in _INVISIBLE)
    return unicodedata.normalize("NFC", visible).strip()


def plain_key(text: str) -> str:
    """What two writings of one name have in common: `plain_name`, and 1 for 01, 001 and 1.0 (pandas writes the last).

    Args:
        text: as it was written.
    """
    name = plain_name(text)
    number = _NUMBER.fullmatch(name) if name[-1:].isdecimal() or name[-1:] == "." else None
    if number is None:
        return name
    digits = str(int(number[2]))
    return f"{number[1]}{digits}" if digits != "0" else "0"


def is_unknown(text: str) -> bool:
    """Whether it stands for a camera or tracklet that is not known: nothing, or -1 in any writing.

    Args:
        text: as it was written.
    """
    return plain_key(text) in ("", "-1")


def is_same_name(one: str | None, other: str | None) -> bool:
    """Whether both are one name, however they are written, or both None."""
    return (None if one is None else plain_key(one)) == (None if other is None else plain_key(other))


def in_several_writings(texts: Iterable[str]) -> list[str]:
    """The names that are written in several ways among these, each as "'01' = '1'", in sorted order."""
    writings: dict[str, set[str]] = {}
    for text in texts:
        writings.setdefault(plain_key(text), set()).add(text)
    return sorted(" = ".join(sorted(map(repr, several))) for several in writings.values() if len(several) > 1)

"""Whether a zip file (.npz, .pth) can be read at all, asked before anything in it is expanded."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

MOST_ENTRIES = 100_000
MOST_LIST_BYTES = 16 * 2**20
"""Of the list of entries at the end of a file, which is held in memory as a whole."""
_FREELY = 512 * 2**20  # bytes that any file may expand to
_MOST_RATIO = 64  # above, so many times its size: vectors and weights hardly compress
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_TAIL = 22 + 65_535 + 20 + 56  # the end records and the longest comment


def zip_fault(path: str | os.PathLike[str]) -> str:
    """Why a zip file is not to be read, or "" where it can be: encrypted, cut short, made to fill the memory.

    Args:
        path: of a file that begins like a zip file.
    """
    listed = _listed(Path(path))
    if listed is None:
        return "cut short: the list of its entries at the end is missing"
    if listed > MOST_LIST_BYTES:
        return f"its list of entries has {listed:,} bytes, and {MOST_LIST_BYTES:,} are the limit"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        return f"a damaged zip file ({error})"
    if len(entries) > MOST_ENTRIES:
        return f"{len(entries):,} entries, and {MOST_ENTRIES:,} are the limit"
    if any(entry.flag_bits & 1 for entry in entries):
        return "encrypted"
    total, size = sum(entry.file_size for entry in entries), os.path.getsize(path)
    if total > max(_FREELY, _MOST_RATIO * size):
        return f"its {size:,} bytes expand to {total:,}, more than {_MOST_RATIO} times as many"
    return ""


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like a zip file."""
    with Path(path).open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", _END)


def _listed(path: Path) -> int | None:
    """Bytes of the list of entries, as the file says; None: it has no end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read(_TAIL)
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        return None
    (size,) = struct.unpack_from("<I", tail, end + 12)
    large = tail.rfind(_END_64, 0, end)
    if size == 0xFFFFFFFF and large >= 0:
        (size,) = struct.unpack_from("<Q", tail, large + 40)
    return int(size)

"""Whether the file itself was written to by anybody but SQLite while it was open.

With a write-ahead log, SQLite writes to the file itself only when it copies pages of the log into it, and notes in the
shared memory how far it has come. So a file whose size or modification time changed without such a note was overwritten
in place, as `cp backup people.gallery` does. Its log belongs to what is no longer there: writing it back would leave a
mixture of the two, which cannot be opened.
"""

from __future__ import annotations

import os

_SALTS = (32, 40)  # in the shared memory: of the log, another one after each restart (walformat.html, WalIndexHdr)
_COPIED = (96, 100)  # frames that are in the file (WalCkptInfo.nBackfill)
_COPYING = (128, 132)  # frames that were to be copied when copying began (nBackfillAttempted)
_HEAD = _COPYING[1]

_Stamp = tuple[int, int]


class OverwrittenFile:
    """Compares a file with its shared memory; both descriptors stay the caller's.

    Args:
        descriptor: of the file.
        memory: of its shared memory.
    """

    def __init__(self, descriptor: int, memory: int) -> None:
        self._descriptor, self._memory = descriptor, memory
        self._found = False
        self._known: tuple[_Stamp, bytes] | None = None
        self.noticed()

    def noticed(self) -> bool:
        """Whether somebody else has written to the file since it was opened; once True, always."""
        if self._found:
            return True
        before = self._stamp()
        head = os.pread(self._memory, _HEAD, 0)
        if len(head) < _HEAD or head[slice(*_COPIED)] != head[slice(*_COPYING)]:
            return False  # pages are being copied right now, or whoever did was killed
        mark = head[slice(*_SALTS)] + head[slice(*_COPIED)]
        if self._stamp() != before:
            return False  # copying began meanwhile; the next look tells
        if self._known is not None and mark == self._known[1] and before != self._known[0]:
            self._found = True
        else:
            self._known = before, mark
        return self._found

    def _stamp(self) -> _Stamp:
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

"""Whether the file itself was written to by anybody but SQLite while it was open.

With a write-ahead log, SQLite writes to the file itself only when it copies pages of the log into it, and notes in the
shared memory how far it has come. So a file whose size or modification time changed without such a note was overwritten
in place, as `cp backup people.gallery` does. Its log belongs to what is no longer there: writing it back would leave a
mixture of the two, which cannot be opened.

Other processes copy pages, too, while this one does not look. So whoever has copied some leaves a note of the file as
it is then, in an extended attribute, which a copy over the file does not change. What nobody can tell apart is a copy
that begins after the last look before pages are copied back, and ends before the note.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

_SALTS = (32, 40)  # in the shared memory: of the log, another one after each restart (walformat.html, WalIndexHdr)
_COPIED = (96, 100)  # frames that are in the file (WalCkptInfo.nBackfill)
_COPYING = (128, 132)  # frames that were to be copied when copying began (nBackfillAttempted)
_FRAMES = 16  # in the shared memory: how many there are in the log
_HEAD = _COPYING[1]
_NOTE = "user.passerby.written"
_NOTE_FORM = struct.Struct("<12sqq")  # salts and copied frames, then size and modification time of the file

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
        self._left: tuple[_Stamp, bytes] | None = None
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
        if (
            self._known is not None
            and before != self._known[0]
            and (mark == self._known[1] or self._noted_otherwise(mark))
        ):
            self._found = True
        else:
            self._known = before, mark
        return self._found

    def note(self) -> None:
        """Say to other processes what the file is like, after this one has copied pages into it.

        Without extended attributes (other systems, some file systems) they only know what they saw themselves.
        """
        if self._found or self._known is None or self._known == self._left or not hasattr(os, "setxattr"):
            return
        (size, modified), mark = self._known
        with suppress(OSError):
            os.setxattr(self._descriptor, _NOTE, _NOTE_FORM.pack(mark, size, modified))
        self._left = self._known

    def _noted_otherwise(self, mark: bytes) -> bool:
        """Whether who copied pages last has left another file than this one."""
        if not hasattr(os, "getxattr"):
            return False
        try:
            noted, size, modified = _NOTE_FORM.unpack(os.getxattr(self._descriptor, _NOTE))
        except (OSError, struct.error):
            return False
        return bool(noted == mark and (size, modified) != self._stamp())

    def frames(self) -> int:
        """Pages in the log that are not in the file yet, or more."""
        head = os.pread(self._memory, _HEAD, 0)
        if len(head) < _HEAD:
            return 0
        (frames,), (copied,) = struct.unpack_from("=I", head, _FRAMES), struct.unpack_from("=I", head, _COPIED[0])
        return int(frames - copied)

    def _stamp(self) -> _Stamp:
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

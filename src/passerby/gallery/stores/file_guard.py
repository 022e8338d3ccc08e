"""Locks on a gallery's files that nothing else in the process can drop.

SQLite keeps other processes from deleting its write-ahead log by POSIX locks. Those belong to the process, and closing
*any* descriptor of the file drops them all (fcntl(2)): `open(path, "rb").close()` is enough, and SQLite does not
notice. To another process that closes the gallery it then looks as if nobody else had it open: it deletes the log, and
what the first process goes on writing there is lost.

So the same bytes are locked a second time by open file description locks (Linux), which belong to a descriptor of ours
and stay until that one is closed. Where there are none, the POSIX locks are taken anew before and after each change.
In both cases the log's inode is compared before anything is acknowledged.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passerby.errors import GalleryError, StorageError

if sys.platform != "win32":  # there locks belong to handles, and files in use cannot be deleted
    import fcntl

    _SHARED, _EXCLUSIVE, _FREE = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN
    _TYPES = {_SHARED: fcntl.F_RDLCK, _EXCLUSIVE: fcntl.F_WRLCK, _FREE: fcntl.F_UNLCK}
    _OFD_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
else:
    _SHARED, _EXCLUSIVE, _FREE = 1, 2, 8
    _OFD_SETLK = None

Inode = tuple[int, int]
Region = tuple[int, int]
_OPEN: Region = (0x4000_0002, 510)  # of the file: locked by every connection; deleting the log needs all of it
_MAPPED: Region = (128, 1)  # of "-shm": locked by every connection; who finds it free resets the shared memory
_TURN: Region = (0x4000_0400, 1)  # of the file, beyond SQLite's own: ours, for one writer at a time
_CLOSING_SECONDS = 30.0  # how long another process may take to close the gallery
_WAITS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)


class FileGuard:
    """Holds a gallery's files while they are open, and notices when they are not the same any more.

    Its descriptors must be closed last: closing them drops SQLite's own locks.

    Args:
        path: the file, without symbolic links in it.

    Raises:
        GalleryError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._log, self._memory = str(path), f"{path}-wal", f"{path}-shm"
        self._memory_descriptor: int | None = None
        self._logs: tuple[Inode | None, Inode | None] | None = None
        self._descriptor, self._writable = _open(path)
        self.lasting = _are_there_lasting_locks(self._descriptor)
        found = os.fstat(self._descriptor)
        self.inode: Inode = (found.st_dev, found.st_ino)

    def hold(self) -> None:
        """Lock the files that SQLite has opened, and remember which they are.

        Raises:
            StorageError: they cannot be locked.
        """
        if self._memory_descriptor is None:
            try:
                self._memory_descriptor = os.open(self._memory, os.O_RDONLY)
            except OSError as error:
                raise StorageError(
                    f"{self._path}: its shared memory (-shm) cannot be opened ({error.strerror})"
                ) from error
            self._lock()
            self._logs = inode(self._log), inode(self._memory)
            if None in self._logs:
                raise StorageError(f"{self._path}: its write-ahead log was deleted while it was opened; open it again")

    def _lock(self) -> None:
        """Lock what is in use; locks that are there already stay."""
        for descriptor, region in ((self._descriptor, _OPEN), (self._memory_descriptor, _MAPPED)):
            if descriptor is not None and not self._take(descriptor, _SHARED, region, _CLOSING_SECONDS):
                raise StorageError(f"{self._path}: another process keeps the file locked; nothing was changed")

    def _take(self, descriptor: int, kind: int, region: Region, seconds: float) -> bool:
        """Lock, waiting for at most `seconds`; whether it was possible."""
        end, waits = clock.monotonic() + seconds, 0
        while not _try(descriptor, kind, region, lasting=self.lasting):
            if clock.monotonic() > end:
                return False
            clock.sleep(_WAITS[min(waits, len(_WAITS) - 1)])
            waits += 1
        return True

    def file_fault(self) -> str:
        """What has happened to the file itself since it was opened, or ""."""
        found = inode(self._path)
        if found == self.inode:
            return ""
        return "was deleted or moved away" if found is None else "was replaced by another one"

    def log_fault(self) -> str:
        """What has happened to the write-ahead log and its shared memory, or ""."""
        if self._logs is None:
            return ""
        if not self.lasting:
            self._lock()
        found = inode(self._log), inode(self._memory)
        if found == self._logs:
            return ""
        return "was deleted" if None in found else "was replaced"

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """One process at a time, whatever became of SQLite's own locks.

        Raises:
            StorageError: another process had its turn for longer than `seconds`.
        """
        if not self._writable:  # SQLite says so in its own words
            yield
            return
        if not self._take(self._descriptor, _EXCLUSIVE, _TURN, seconds):
            raise StorageError(f"{self._path}: another process has been writing for a long time; nothing was changed")
        try:
            yield
        finally:
            _try(self._descriptor, _FREE, _TURN, lasting=self.lasting)

    def release(self) -> None:
        """Let SQLite tidy up when it closes: write the log back and delete it, if no other process has it open.

        Not if another log has taken its place: the old one would be written over what is newer, and the new deleted.
        """
        if not self.lasting or self._memory_descriptor is None or self.log_fault() == "was replaced":
            return
        _try(self._descriptor, _FREE, _OPEN, lasting=True)
        _try(self._memory_descriptor, _FREE, _MAPPED, lasting=True)

    def close(self) -> None:
        """Close the descriptors; the log of a file that was deleted goes with it, for it is of no use to any other."""
        deleted = os.fstat(self._descriptor).st_nlink == 0
        if deleted and self._logs == (inode(self._log), inode(self._memory)):
            os.unlink(self._log)
            os.unlink(self._memory)
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """Close the descriptors only: all that a forked process may do."""
        os.close(self._descriptor)
        if self._memory_descriptor is not None:
            os.close(self._memory_descriptor)


def inode(path: str | Path) -> Inode | None:
    """Which file this is, whatever its name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(path: Path) -> tuple[int, bool]:
    """A descriptor, and whether it can be written to."""
    try:
        return os.open(path, os.O_RDWR), True
    except OSError:
        pass  # for reading, then
    try:
        return os.open(path, os.O_RDONLY), False
    except OSError as error:
        raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None


def _are_there_lasting_locks(descriptor: int) -> bool:
    """Whether this system knows locks that belong to a descriptor."""
    if _OFD_SETLK is None:
        return False
    try:
        return _try(descriptor, _FREE, _TURN, lasting=True)
    except StorageError:
        return False


def _try(descriptor: int, kind: int, region: Region, *, lasting: bool) -> bool:
    """Lock, or free, without waiting; False where another process is in the way."""
    if sys.platform == "win32":
        return True
    start, length = region
    try:
        if lasting and _OFD_SETLK is not None:
            lock = struct.pack("hhqqi0q", _TYPES[kind], os.SEEK_SET, start, length, 0)  # struct flock
            fcntl.fcntl(descriptor, _OFD_SETLK, lock)
        else:
            fcntl.lockf(descriptor, kind if kind == _FREE else kind | fcntl.LOCK_NB, length, start)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise StorageError(f"the gallery's file cannot be locked ({error.strerror}): it needs a local disk") from error
    return True

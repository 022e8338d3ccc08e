"""Locks on a gallery's files that nothing else in the process can drop.

SQLite keeps other processes from deleting its write-ahead log by POSIX locks. Those belong to the process, and closing
*any* descriptor of the file drops them all (fcntl(2)): `open(path, "rb").close()` is enough, and SQLite does not
notice. To another process that closes the gallery it then looks as if no other process had it open: it deletes the
log, and what the first process still writes there is lost.

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
from passerby.gallery.stores.sqlite.overwritten import OverwrittenFile

if sys.platform != "win32":  # there locks belong to handles, and files in use cannot be deleted
    import fcntl

    _SHARED, _EXCLUSIVE, _FREE = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN
    _TYPES = {_SHARED: fcntl.F_RDLCK, _EXCLUSIVE: fcntl.F_WRLCK, _FREE: fcntl.F_UNLCK}
    _OFD_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
else:
    _SHARED, _EXCLUSIVE, _FREE = 1, 2, 8
    _OFD_SETLK = None

OVERWRITTEN = "was overwritten by another program"
Inode = tuple[int, int]
Region = tuple[int, int]
_OPEN: Region = (0x4000_0002, 510)  # of the file: locked by every connection; deleting the log needs all of it
_MAPPED: Region = (128, 1)  # of "-shm": locked by every connection; who finds it free resets the shared memory
_TURN: Region = (0x4000_0400, 1)  # of the file, beyond SQLite's own: ours, for one writer at a time
_LOG_IN_USE: Region = (1 << 50, 1 << 40)  # far beyond any file: one byte of it stands for the log that is in use
_CLOSING_SECONDS = 30.0  # how long another process may take to close the gallery
_LEAVING_SECONDS = 3.0  # how long another process may take from the deletion of its log to its last descriptor
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
        self._overwritten: OverwrittenFile | None = None
        self._closed = False
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
            self._claim_log()
            self._overwritten = OverwrittenFile(self._descriptor, self._memory_descriptor)

    def _claim_log(self) -> None:
        """Only one log may belong to a file: under another name (a bind mount, a new name) there would be a second.

        A process that closes the file holds its claim a moment longer than its log lasts, so that one is waited for.

        Raises:
            StorageError: another process has the file open with another log.
        """
        if not self.lasting or self._logs is None or self._logs[1] is None:
            return
        start, length = _LOG_IN_USE
        device, number = self._logs[1]
        own = start + (device * 1_000_003 + number) % length
        if not _try(self._descriptor, _SHARED, (own, 1), lasting=True):
            raise StorageError(f"{self._path}: another process holds a lock on the file; nothing was changed")
        others = ((start, own - start), (own + 1, start + length - own - 1))
        end, waits = clock.monotonic() + _LEAVING_SECONDS, 0
        while any(length and _is_held(self._descriptor, (first, length)) for first, length in others):
            if clock.monotonic() > end:
                raise StorageError(
                    f"{self._path}: another process has this file open under another name, with a write-ahead log of "
                    "its own, and what is stored under one name may be lost under the other; open it by one name only"
                )
            clock.sleep(_WAITS[min(waits, len(_WAITS) - 1)])
            waits += 1

    def _lock(self) -> None:
        """Lock what is in use; locks that are there already stay."""
        for descriptor, region in ((self._descriptor, _OPEN), (self._memory_descriptor, _MAPPED)):
            if descriptor is not None and not self._take(descriptor, _SHARED, region, _CLOSING_SECONDS):
                raise StorageError(f"{self._path}: another process holds a lock on the file; nothing was changed")

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
        if self._closed:
            return ""
        if found == self.inode:
            return OVERWRITTEN if self._is_overwritten() else ""
        return "was deleted or moved away" if found is None else "was replaced by another one"

    def _is_overwritten(self) -> bool:
        if self._overwritten is None or self._logs is None or self._logs[1] != inode(self._memory):
            return False  # without its shared memory nobody can tell who wrote
        return self._overwritten.noticed()

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

    def remember_file(self) -> None:
        """Know the file as it is now, after SQLite has written to it."""
        if not self._closed and not self._is_overwritten() and self._overwritten is not None and self._writable:
            self._overwritten.note()

    def pages_in_log(self) -> int:
        """Pages in the log that are not in the file yet, or more; 0 where there is no log."""
        return 0 if self._overwritten is None else self._overwritten.frames()

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
            self.remember_file()
            _try(self._descriptor, _FREE, _TURN, lasting=self.lasting)

    def release(self) -> None:
        """Let SQLite tidy up when it closes: write the log back and delete it, if no other process has it open.

        Not if another log has taken its place: the old one would be written over what is newer, and the new deleted.
        Nor if the file was overwritten: the log belongs to what was there before.
        """
        if not self.lasting or self._memory_descriptor is None or self.log_fault() == "was replaced":
            return
        if self.file_fault() == OVERWRITTEN:
            return
        _try(self._descriptor, _FREE, _OPEN, lasting=True)
        _try(self._memory_descriptor, _FREE, _MAPPED, lasting=True)

    def close(self) -> None:
        """Close the descriptors; the log of a file that was deleted, or overwritten, goes with its content.

        It is of no use to any other, and SQLite would take it for the log of what is there now. An empty log goes, too,
        if no other process has the file open: a connection that only reads makes one, and cannot delete it.
        """
        gone = os.fstat(self._descriptor).st_nlink == 0 or (self.file_fault() == OVERWRITTEN and self.is_last())
        if (gone or self._is_log_spent()) and self._logs == (inode(self._log), inode(self._memory)):
            os.unlink(self._log)
            os.unlink(self._memory)
        self.close_descriptors()

    def _is_log_spent(self) -> bool:
        """Whether the log is empty, and stays so until the descriptors are closed, since nobody can open the file."""
        if not (self.lasting and self._writable and self._logs and self._logs[0]) or not self.is_last():
            return False
        try:
            return self.file_fault() == "" and os.stat(self._log).st_size == 0
        except OSError:
            return False

    def is_last(self) -> bool:
        """Whether no other process has the file open; then none can open it before the descriptors are closed."""
        return _try(self._descriptor, _EXCLUSIVE, _OPEN, lasting=self.lasting)

    def close_descriptors(self) -> None:
        """Close the descriptors only: all that a forked process may do."""
        self._closed = True
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


def _is_held(descriptor: int, region: Region) -> bool:
    """Whether another process, or another descriptor of this one, has locked part of a region."""
    if sys.platform == "win32" or _OFD_SETLK is None:
        return False
    start, length = region
    lock = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)  # struct flock
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, lock)
    return bool(struct.unpack("hhqqi0q", answer)[0] != fcntl.F_UNLCK)


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

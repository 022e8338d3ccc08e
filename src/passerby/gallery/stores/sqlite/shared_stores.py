"""One store for each file of a process, however often it is opened.

The users of a file share its connections and what was read of it; the last that closes closes it. A process that was
forked while a gallery was open can neither use nor open it: SQLite's locks do not pass on to it, but its memory of
holding them does.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from passerby.errors import GalleryError, StorageError
from passerby.gallery.events import Event
from passerby.gallery.stores.sqlite.file_guard import Inode, inode
from passerby.gallery.stores.sqlite.new_file import ensure_file
from passerby.gallery.stores.sqlite.partial_files import remove_partials_of_the_dead
from passerby.gallery.stores.sqlite.store import SqliteStore

_lock = threading.RLock()
_open: weakref.WeakValueDictionary[Inode, SqliteStore] = weakref.WeakValueDictionary()
_inherited: dict[Inode, SqliteStore] = {}


class SharedStore:
    """One user's part in a store; has all methods of `SqliteStore` until it is closed.

    Args:
        store: the store.
        location: as this user calls it.
        read_only: refuse every change of this user.
    """

    def __init__(self, store: SqliteStore, location: str, *, read_only: bool) -> None:
        self.location = location
        self._read_only = read_only
        self._store: SqliteStore | None = store
        store.users.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened(), name)

    def _opened(self) -> SqliteStore:
        store = self._store
        if store is None:
            raise GalleryError(f"{self.location}: the gallery is closed")
        if store.inherited:
            raise _was_open_at_fork(self.location)
        return store

    def _changeable(self) -> SqliteStore:
        store = self._opened()
        if self._read_only:
            raise StorageError(f"{self.location}: opened for reading only; nothing was changed")
        return store

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqliteStore.transaction`."""
        with self._changeable().transaction():
            yield

    def append_events(self, events: Sequence[Event]) -> None:
        """See `SqliteStore.append_events`."""
        self._changeable().append_events(events)

    def compact(self) -> None:
        """See `SqliteStore.compact`."""
        self._changeable().compact()

    def settle_erasure(self) -> str:
        """See `SqliteStore.settle_erasure`."""
        store = self._opened()
        return "" if self._read_only else store.settle_erasure()

    def close(self) -> None:
        """Let go of the store; the last user closes it."""
        with _lock:
            store, self._store = self._store, None
            if store is None or store.inherited:
                return
            store.users.discard(self)
            if not store.users:
                _close(store)


def open_shared(path: Path, *, read_only: bool, storage: str) -> SharedStore:
    """Open or make the gallery in a file, or join those of this process who have it open.

    Args:
        path: the file; made where it does not exist (unless `read_only`).
        read_only: refuse every change of this user; others may make some.
        storage: what a new file stores; an existing one has its own.

    Raises:
        GalleryError: not a gallery, damaged, of a newer version of passerby, or a file with several names.
        StorageError: the file cannot be made or locked.
    """
    with _lock:
        real = Path(os.path.realpath(path))
        _check_not_replaced(path, real)
        ensure_file(path, real, must_exist=read_only, storage=storage)
        key = inode(real)
        if key is not None and key in _inherited:
            raise _was_open_at_fork(str(path))
        store = None if key is None else _open.get(key)
        if store is not None and store.log_fault():
            _close(store)  # its users got an error, or will, at their next call
            store = None
        if store is None or store.path != real:
            _check_one_name(path, real)
        if store is None:
            if not read_only:
                remove_partials_of_the_dead(real)
            store = SqliteStore(real, location=str(path), read_only=read_only)
            _open[store.inode] = store
        elif not read_only:
            store.make_writable()
        return SharedStore(store, str(path), read_only=read_only)


def is_open_here(path: Path) -> bool:
    """Whether this process has a gallery's file open."""
    with _lock:
        key = inode(path)
        return key is not None and key in _open


@contextmanager
def not_open_here(path: Path) -> Iterator[bool]:
    """Whether this process does not have a gallery's file open; meanwhile it cannot open any."""
    with _lock:
        yield not is_open_here(path)


def _close(store: SqliteStore) -> None:
    if _open.get(store.inode) is store:
        del _open[store.inode]
    store.close()


def _check_not_replaced(path: Path, real: Path) -> None:
    """Two files of one name have one name for their write-ahead logs, too."""
    for other in list(_open.values()):
        if other.path == real and other.file_fault():
            raise GalleryError(
                f"{path}: the file {other.file_fault()} while it was open in this process; close that gallery first"
            )


def _check_one_name(path: Path, real: Path) -> None:
    """SQLite names the write-ahead log after the file: by another name one would not find it, and write a second."""
    if real.stat().st_nlink == 1:
        return
    for partial in real.parent.glob(f".{escape(real.name)}.*.partial"):  # left by who was killed when it made the file
        if inode(partial) == inode(real):
            partial.unlink(missing_ok=True)
    names = real.stat().st_nlink
    if names > 1:
        raise GalleryError(
            f"{path}: a file with {names} names (hard links), and what is stored under one of them may be lost under "
            f"another; keep one name (`find -samefile {real.name}` lists them), or `passerby gallery backup` a copy"
        )


def _was_open_at_fork(location: str) -> GalleryError:
    return GalleryError(
        f"{location}: was open when this process was forked, and cannot be used in both; open it after the fork, or "
        "start the process anew (multiprocessing: `spawn`)"
    )


def _leave_to_parent() -> None:
    """In a forked process: the stores stay in memory, unused, since closing them would touch the parent's files."""
    global _lock
    _lock = threading.RLock()  # another thread may have held it
    for key, store in list(_open.items()):
        store.leave_to_parent()
        _inherited[key] = store
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)

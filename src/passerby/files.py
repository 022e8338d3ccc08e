"""Writing files so that what was there survives a crash, a kill or a full disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from passerby.errors import StorageError


def cache_folder(kind: str) -> Path:
    """Where files are kept that can be made or fetched again.

    Args:
        kind: "images", "hub", ...: a folder in $PASSERBY_CACHE, else in `passerby` in the user's cache folder
            ($XDG_CACHE_HOME, else ~/.cache).
    """
    base = os.environ.get("PASSERBY_CACHE")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerby"
    return (Path(base) if base else user) / kind


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, it takes `path`'s place in one step.

    Raises:
        StorageError: the disk is full, read-only or not writable; what was at `path` before is still there.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, target)
        _flush_to_disk(target.parent)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Like `replace_file` for a folder: give an empty temporary one that takes `path`'s place when the block ends well.

    Raises:
        StorageError: writing failed; what was at `path` before is still there.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    retired = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            _flush_to_disk(file)
        if target.exists():
            os.replace(target, retired)
        os.replace(temporary, target)
        _flush_to_disk(target.parent)
    except OSError as error:
        if retired.exists() and not target.exists():
            os.replace(retired, target)
        raise storage_error(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def storage_error(path: str | os.PathLike[str], error: OSError) -> StorageError:
    """The StorageError that an OSError while writing `path` becomes."""
    return StorageError(
        f"{os.fspath(path)}: cannot be written ({error.strerror or error}); "
        "what was there before is intact. Free space or choose another place, and run the same command again"
    )


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

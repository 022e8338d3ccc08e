"""Decoded, resized pixels: in memory, in a memory-mapped file, or made anew each time.

The file is keyed by what it holds (paths, sizes and times of the image files, and the size in pixels), built once,
block by block with a checksum each, and moved into place when it is whole. An interrupted build goes on where it
stopped, and damaged blocks are made again.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from passerby.array_types import UInt8
from passerby.errors import DataError, ImageError, StorageError
from passerby.files import cache_folder
from passerby.images.decode import GREY_BITS, decoding_threads, read_image
from passerby.images.resize import resize_into
from passerby.progress import progress_bar

CacheKind = Literal["memory", "disk", "none"]
_FORMAT = "2"
_CHUNK = 32  # images a thread takes at a time
_BLOCK_BYTES = 16 * 2**20  # of the file that share a checksum


class ImageStore:
    """The pixels of a list of images at one size.

    Args:
        paths: which images.
        height: pixels.
        width: pixels.
        cache: "memory" decodes everything now and keeps it; "disk" keeps it in a memory-mapped file that the next
            run finds; "none" decodes at each fetch.
        cache_dir: folder of that file (default: `passerby/images` in the user's cache folder).
        progress: show a progress bar while decoding.
        threads: decoding threads (default: the processor's cores, at most 8).
        bits: as of `read_image`.

    Raises:
        ImageError: images that cannot be read, the first five by name ("none": at the fetch that meets them).
        DataError: no images, or more than the machine's memory holds (cache="memory").
        StorageError: the file cannot be written (disk full, read-only folder); a later build goes on from there.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        height: int,
        width: int,
        *,
        cache: CacheKind = "memory",
        cache_dir: Path | None = None,
        progress: bool = True,
        threads: int | None = None,
        bits: int = GREY_BITS,
    ) -> None:
        if not paths:
            raise DataError("there are no images to read: the list of paths is empty")
        self.paths = list(paths)
        self.height, self.width = height, width
        self.bits = bits
        self.pixels: UInt8 | None = None
        """All images, uint8 [n, height, width, 3]; None with cache="none"."""
        self._pool = ThreadPoolExecutor(threads or decoding_threads(), thread_name_prefix="decode")
        if cache == "memory":
            self._check_memory()
            self.pixels = np.empty((len(self.paths), height, width, 3), np.uint8)
            self._decode_all(self.pixels, progress)
        elif cache == "disk":
            self.pixels = _PixelFile(self, cache_dir or default_cache_dir()).open(progress)

    def __len__(self) -> int:
        """How many images."""
        return len(self.paths)

    def fetch(self, indices: npt.NDArray[np.integer], out: UInt8 | None = None) -> UInt8:
        """Pixels of some images, uint8 [len(indices), height, width, 3].

        Args:
            indices: which images.
            out: written and returned if given; fresh memory costs more than decoding into it.

        Raises:
            ImageError: cache="none" and an image cannot be read.
        """
        out = self._empty(len(indices)) if out is None else out
        if self.pixels is not None:
            if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
                raise IndexError(f"image {indices.min()} or {indices.max()} of {len(self)}")
            return np.take(self.pixels, indices, axis=0, out=out, mode="clip")  # mode="raise" would copy twice
        _raise_unreadable(self.decode(indices.tolist(), out))
        return out

    def read(self, indices: npt.NDArray[np.integer], out: UInt8 | None = None) -> UInt8:
        """As `fetch`, in the calling thread alone."""
        if self.pixels is not None:
            return self.fetch(indices, out)
        out = self._empty(len(indices)) if out is None else out
        _raise_unreadable(self._decode_chunk(indices.tolist(), out))
        return out

    def _empty(self, n: int) -> UInt8:
        return np.empty((n, self.height, self.width, 3), np.uint8)

    def decode(self, indices: Sequence[int], out: UInt8) -> list[ImageError]:
        """Decode images into `out` [len(indices), height, width, 3] with all threads; what could not be read."""
        errors: list[ImageError] = []
        starts = range(0, len(indices), _CHUNK)
        for found in self._pool.map(lambda s: self._decode_chunk(indices[s : s + _CHUNK], out[s : s + _CHUNK]), starts):
            errors += found
        return errors

    def _decode_chunk(self, indices: Sequence[int], out: UInt8) -> list[ImageError]:
        errors = []
        for place, index in enumerate(indices):
            try:
                read_into(self.paths[index], out[place], bits=self.bits)
            except ImageError as error:
                errors.append(error)
        return errors

    def _decode_all(self, out: UInt8, progress: bool) -> None:
        errors: list[ImageError] = []
        step = 16 * _CHUNK
        with progress_bar("decoding images", len(self)) if progress else nullcontext() as bar:
            for start in range(0, len(self), step):
                part = range(start, min(start + step, len(self)))
                errors += self.decode(part, out[start : part.stop])
                if bar is not None:
                    bar.advance(len(part))
        _raise_unreadable(errors)

    def _check_memory(self) -> None:
        need = len(self.paths) * self.height * self.width * 3
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else need
        if need > have:
            raise DataError(
                f"{len(self.paths):,} images of {self.width} x {self.height} need {need / 2**30:.1f} GiB, and this "
                f'machine has {have / 2**30:.1f} GiB of memory: set input.cache = "disk"'
            )


class _PixelFile:
    """`KEY.pixels` (raw uint8) and `KEY.sums` (one checksum a block); `KEY.part` while it is being built."""

    def __init__(self, store: ImageStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.image_bytes = store.height * store.width * 3
        self.per_block = max(1, _BLOCK_BYTES // self.image_bytes)
        self.blocks = -(-len(store) // self.per_block)
        key = _content_key(store)
        self.final, self.part, self.sums = (folder / f"{key}.{end}" for end in ("pixels", "part", "sums"))
        self.lock = folder / f"{key}.lock"

    def open(self, progress: bool) -> UInt8:
        if not self._is_whole():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with _locked(self.lock):
                    self._build(progress)
            except OSError as error:
                size = len(self.store) * self.image_bytes / 2**30
                raise StorageError(
                    f"{self.folder}: cannot write the image cache of {size:.2f} GiB ({error.strerror}); what was "
                    "written stays, and the next run goes on from it. Free space there, or set input.cache_dir"
                ) from error
        shape = (len(self.store), self.store.height, self.store.width, 3)
        return np.memmap(self.final, np.uint8, mode="r", shape=shape)

    def _is_whole(self) -> bool:
        size = len(self.store) * self.image_bytes
        return self.final.exists() and self.final.stat().st_size == size and all(self._good_blocks(self.final))

    def _build(self, progress: bool) -> None:
        if self._is_whole():  # another process has built it while this one waited
            return
        if self.final.exists():
            os.replace(self.final, self.part)
        self._fill(self._good_blocks(self.part), progress)
        os.replace(self.part, self.final)

    def _good_blocks(self, path: Path) -> list[bool]:
        """Which blocks of the file have the checksum that was noted for them."""
        if not path.exists() or not self.sums.exists():
            return [False] * self.blocks
        noted = dict(line.split() for line in self.sums.read_text("ascii").splitlines() if line.count(" ") == 1)
        size = self.per_block * self.image_bytes
        with path.open("rb") as file:
            return [noted.get(str(b)) == _checksum(file.read(size)) for b in range(self.blocks)]

    def _fill(self, good: list[bool], progress: bool) -> None:
        errors: list[ImageError] = []
        done = self.per_block * sum(good)
        bar_or_none = (
            progress_bar("building the image cache", len(self.store), done=done) if progress else nullcontext()
        )
        mode = "r+b" if self.part.exists() else "w+b"
        # written, not memory-mapped: a full disk is then an error that can be caught, and not a killed process
        with self.part.open(mode) as file, self.sums.open("a", encoding="ascii") as sums, bar_or_none as bar:
            for block in (b for b in range(self.blocks) if not good[b]):
                part = range(block * self.per_block, min((block + 1) * self.per_block, len(self.store)))
                pixels = np.empty((len(part), self.store.height, self.store.width, 3), np.uint8)
                found = self.store.decode(part, pixels)
                errors += found
                if not found:
                    file.seek(part.start * self.image_bytes)
                    file.write(pixels.data)
                    file.flush()
                    sums.write(f"{block} {_checksum(pixels.data)}\n")
                    sums.flush()
                if bar is not None:
                    bar.advance(len(part))
            _raise_unreadable(errors)
            file.truncate(len(self.store) * self.image_bytes)
            os.fsync(file.fileno())
            os.fsync(sums.fileno())


def read_into(path: Path, out: UInt8, *, bits: int = GREY_BITS) -> None:
    """Decode an image and resize it into `out` [height, width, 3]; `bits` as of `read_image`.

    Raises:
        ImageError: it cannot be read.
    """
    image = read_image(path, buffer=out, bits=bits)
    if image.shape != out.shape:
        resize_into(image.copy() if np.may_share_memory(image, out) else image, out)
    elif not np.may_share_memory(image, out):
        out[:] = image


def default_cache_dir() -> Path:
    """`images` in $PASSERBY_CACHE, else `passerby/images` in $XDG_CACHE_HOME, else in ~/.cache."""
    return cache_folder("images")


def _content_key(store: ImageStore) -> str:
    depth = "" if store.bits == GREY_BITS else f" {store.bits}"
    digest = hashlib.sha256(f"{_FORMAT} {store.height} {store.width}{depth}\n".encode())
    errors = []
    for path in store.paths:
        try:
            status = path.stat()
        except OSError as error:
            errors.append(ImageError(f"{path}: no such image file ({error.strerror})"))
            continue
        digest.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    _raise_unreadable(errors)
    return digest.hexdigest()[:32]


def _checksum(data: Any) -> str:
    return f"{zlib.crc32(data):08x}"


def _raise_unreadable(errors: Sequence[ImageError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        first = "\n".join(f"  {error}" for error in errors[:5])
        raise ImageError(f"{len(errors)} images cannot be read, the first {min(5, len(errors))} being\n{first}")


_in_process = threading.Lock()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One builder at a time: other processes wait, then find the file there."""
    try:
        import fcntl
    except ImportError:
        with _in_process:
            yield
        return
    with _in_process, path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""MATLAB files: version 5 (scipy) and version 7.3, which is HDF5 (h5py). Both packages come with the extra `mat`."""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from passerby.errors import DataError, MissingExtraError

MAX_BYTES = 512 * 2**20
"""Most that a version 5 file may expand to; the lists of the datasets have some MiB."""
_COMPRESSED = 15
_CHUNK = 2**20
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"


def load_mat(path: Path, *variables: str) -> list[Any]:
    """Variables of a version 5 .mat file: structs as dicts, cells as arrays of objects, everything squeezed.

    Raises:
        DataError: the file is missing, is no such file, or lacks a variable.
        MissingExtraError: scipy is not installed.
    """
    scipy_io = _package("scipy.io", "scipy", f"reading {path.name}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if _is_hdf5(path):
        raise DataError(
            f"{path}: a MATLAB 7.3 (HDF5) file, expected version 5: save it with '-v7' or find the original"
        )
    _check_expanded_size(path)
    try:
        content: Mapping[str, Any] = scipy_io.loadmat(path, simplify_cells=True, variable_names=list(variables))
    except Exception as error:  # scipy raises all sorts of errors on a broken file, and every one means just that
        raise DataError(f"{path}: not a readable MATLAB file ({error})") from error
    missing = [name for name in variables if name not in content]
    if missing:
        raise DataError(f"{path}: no variable {', '.join(missing)}; is this the right file?")
    return [content[name] for name in variables]


def mat_names(path: Path) -> list[str]:
    """Names of the variables of a version 5 .mat file.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    return [name for name, _, _ in _package("scipy.io", "scipy", f"reading {path.name}").whosmat(path)]


def _check_expanded_size(path: Path) -> None:
    """Refuse what would not fit into memory, before scipy takes it: its parts are compressed, a thousandfold at most.

    A file is a head of 128 bytes and elements: type and length, four bytes each, and content; type 15 is zlib's.
    """
    total = 0
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(head := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", head)
            total += _expanded(file, length, MAX_BYTES - total, path) if kind == _COMPRESSED else length
            if total > MAX_BYTES:
                raise DataError(f"{path}: expands to more than {MAX_BYTES:,} bytes; no list of a dataset is as large")
            if kind != _COMPRESSED:
                file.seek(length, 1)


def _expanded(file: BinaryIO, length: int, most: int, path: Path) -> int:
    """Bytes of the next `length` ones, expanded, as far as `most`; nothing of it is kept."""
    total, expand = 0, zlib.decompressobj()
    while length and total <= most:
        chunk = file.read(min(length, _CHUNK))
        if not chunk:
            break
        length -= len(chunk)
        try:
            while chunk and total <= most:
                total += len(expand.decompress(chunk, _CHUNK))
                chunk = expand.unconsumed_tail
        except zlib.error as error:
            raise DataError(f"{path}: not a readable MATLAB file ({error})") from error
    return total


@contextmanager
def open_mat73(path: Path) -> Iterator[Any]:
    """A version 7.3 .mat file as an h5py.File, closed at the end of the block.

    Raises:
        DataError: the file is missing or no HDF5 file.
        MissingExtraError: h5py is not installed.
    """
    h5py = _package("h5py", "h5py", f"reading {path.name}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if not _is_hdf5(path):
        raise DataError(f"{path}: not a MATLAB 7.3 (HDF5) file; a download that broke off, or another file?")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: a broken MATLAB 7.3 (HDF5) file ({error})") from error
    with file:
        yield file


def as_indices(values: object, what: str, size: int) -> list[int]:
    """1-based MATLAB indices, of whatever integer type, as 0-based ones below `size`.

    Raises:
        DataError: an index out of range.
    """
    indices: npt.NDArray[np.int64] = np.asarray(values).astype(np.int64).ravel() - 1
    if len(indices) and (indices.min() < 0 or indices.max() >= size):
        raise DataError(f"{what}: indices run from {indices.min() + 1} to {indices.max() + 1}, expected 1 to {size}")
    return [int(i) for i in indices]


def as_list(value: Any) -> Sequence[Any]:
    """MATLAB knows no lists of one: a squeezed struct or string stands for the list that holds it."""
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return value if isinstance(value, list) else [value]


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(520)
    return _HDF5_MARK in (head[:8], head[512:520])  # MATLAB puts 512 bytes of its own before it


def _package(module: str, package: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(package, "mat", purpose) from None

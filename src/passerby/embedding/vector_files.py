"""Vectors of any program: .npy, .npz, .mat, CSV and Parquet with columns of any names; and back to .npy and FAISS."""

from __future__ import annotations

import csv
import importlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.array_types import Float32
from passerby.data.manifest import ONE_IN_WRITINGS
from passerby.data.readers.mat import load_mat, mat_names
from passerby.data.records import UNKNOWN_CAMERA
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.vector_tables import counted_columns, read_csv_table
from passerby.errors import DataError, EmbeddingError, MissingExtraError, UsageError, unknown_name
from passerby.files import replace_file
from passerby.plain_names import in_several_writings
from passerby.search.arrays import as_vectors, number_names
from passerby.zip_files import is_zip, zip_fault

COLUMNS = ("vector", "pid", "camid", "path", "time", "tracklet")
"""What may be known of each row; only the vector must be."""

_NAMES_SHOWN = 20
_LARGEST = 2.0**63
Array: TypeAlias = npt.NDArray[Any]


def read_embeddings(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Embeddings:
    """Read vectors and their labels from files of any program.

    A .npy file holds vectors [n, dim] and needs `labels`; .npz and .mat files hold arrays by name; Parquet and CSV
    files have one row a vector. In a CSV file the vector is one column of numbers with spaces between them, or one
    column a number, counted without a gap: vector0, vector1, ...

    Args:
        path: the file with the vectors.
        labels: a file of the same kinds with pid, camid, ... row by row (.npy: pids [n], or pids and camids [n, 2]).
        columns: what the columns are called, where not as in `COLUMNS`: {"vector": "feature", "pid": "person"}.

    Returns:
        The embeddings; cameras that nothing, or -1, names are -1 (unknown). Persons and cameras that are called by
        names are numbered in sorted order, persons from 1 and cameras from 0, all writings of one name alike (1, 01 and
        1.0; composed letters or not; white space around it); the notes keep the names.

    Raises:
        EmbeddingError: a file that cannot be read, without vectors or person ids, or columns of different lengths.
        UsageError: an unknown column.
        MissingExtraError: a .mat file, and scipy is not installed.
    """
    return read_together([path], labels=[labels], columns=[columns or {}])[0]


def read_together(
    paths: Sequence[str | os.PathLike[str]],
    *,
    labels: Sequence[str | os.PathLike[str] | None],
    columns: Sequence[Mapping[str, str]],
) -> list[Embeddings]:
    """Read files that are compared with each other: one name has one number in all of them.

    Args:
        paths: the files; see `read_embeddings`.
        labels: of each file, likewise.
        columns: of each file, likewise.

    Raises:
        EmbeddingError: as `read_embeddings`.
        UsageError: likewise.
        MissingExtraError: likewise.
    """
    tables = [_table(p, beside, names) for p, beside, names in zip(paths, labels, columns, strict=True)]
    notes = []
    for column, first, unknown in (("pid", 1, None), ("camid", 0, UNKNOWN_CAMERA)):
        columns_of_files = [found.get(column) for found, _, _ in tables]
        numbered, names = number_names(*columns_of_files, first=first, unknown=unknown)
        several = in_several_writings({v for values in columns_of_files for v in _texts(values)})
        if several:
            notes.append(ONE_IN_WRITINGS.format(what=column, examples="; ".join(several[:3])))
        for (found, _, _), values in zip(tables, numbered, strict=True):
            if values is not None:
                found[column] = np.asarray(values)
        if names:
            shown = ", ".join(f"{name} = {number}" for name, number in list(names.items())[:_NAMES_SHOWN])
            more = ", ..." if len(names) > _NAMES_SHOWN else ""
            notes.append(f"{column}: {len(names):,} names, numbered in sorted order: {shown}{more}")
    return [_embeddings(*table, notes) for table in tables]


def _texts(values: Array | None) -> set[str]:
    return (
        set()
        if values is None or values.dtype.kind not in "OU"
        else {v for v in values.ravel().tolist() if isinstance(v, str)}
    )


def _table(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None, columns: Mapping[str, str]
) -> tuple[dict[str, Array], Mapping[str, str], Mapping[str, Any]]:
    """The columns of one file and of the labels beside it, of one length; the file of each; what the first says."""
    given = dict(columns)
    for column in given:
        if column not in COLUMNS:
            raise UsageError(unknown_name("column", column, COLUMNS))
    found, about = _read(Path(path), given)
    beside: Mapping[str, Array] = {}
    if labels is not None:
        beside = _read(Path(labels), given)[0]
        if not beside or set(beside) == {"vector"}:
            raise EmbeddingError(_missing(Path(labels), given, "pid"))
        found |= {name: values for name, values in beside.items() if name != "vector"}
    where = os.fspath(path)
    for needed in ("vector", "pid"):
        if needed not in found:
            hint = "" if needed == "vector" or labels is not None else "; or name a file that has it (--labels)"
            lacking = path if needed == "vector" or labels is None else labels
            raise EmbeddingError(f"{_missing(Path(lacking), given, needed)}{hint}")
    n = len(found["vector"])
    for name, values in found.items():
        if len(values) != n:
            place = f" in {os.fspath(labels)}" if labels is not None and name in beside else ""
            raise EmbeddingError(
                f"{where}: {n:,} vectors and {len(values):,} values of {name!r}{place}; expected one for each"
            )
    files = {
        name: where if labels is None or name not in beside or name == "vector" else os.fspath(labels) for name in found
    }
    _check_named(found["pid"], files["pid"])
    return found, files, about


def _check_named(pids: Array, where: str) -> None:
    """Among names, no name is a gap in the table and not a person."""
    if np.asarray(pids).dtype.kind not in "OUS":
        return
    for row, pid in enumerate(pids):
        if pid is None or (isinstance(pid, str) and not pid.strip()):
            raise EmbeddingError(
                f"{where}: pid: expected a number or a name, found nothing in {_row_in_file(row, where)}"
            )


def _missing(path: Path, names: Mapping[str, str], column: str) -> str:
    """What a file lacks, what it has instead, and how to say which of that is meant."""
    there = _NAMES_IN[path.suffix.lower()](path)
    name = names.get(column, column)
    if not there:
        return f"{path}: no column {name!r}"
    listed = ", ".join(map(repr, there[:_NAMES_SHOWN])) + (", ..." if len(there) > _NAMES_SHOWN else "")
    return f"{path}: no column {name!r}; it has {listed}: say which (--columns {column}=NAME)"


def _embeddings(
    found: Mapping[str, Array], files: Mapping[str, str], about: Mapping[str, Any], notes: Sequence[str]
) -> Embeddings:
    return Embeddings(
        vectors=_vectors(found["vector"], files["vector"]),
        pids=_integers(found["pid"], "pid", files["pid"]),
        camids=_cameras(found["camid"], files["camid"])
        if "camid" in found
        else np.full(len(found["vector"]), -1, np.int64),
        paths=tuple(map(str, found["path"])) if "path" in found else (),
        times=_numbers(found["time"], "time", files["time"]) if "time" in found else None,
        tracklets=_integers(found["tracklet"], "tracklet", files["tracklet"]) if "tracklet" in found else None,
        fingerprint=str(about.get("fingerprint", "")),
        notes=(*about.get("notes", ()), *notes),
    )


def read_vectors(path: str | os.PathLike[str], *, column: str = "vector") -> Float32:
    """Only the vectors [n, dim] of a file, whose people are nobody's concern (a cohort).

    Args:
        path: as for `read_embeddings`.
        column: what the vectors are called.

    Raises:
        EmbeddingError: as `read_embeddings`.
    """
    found, _ = _read(Path(path), {"vector": column})
    if "vector" not in found:
        raise EmbeddingError(_missing(Path(path), {"vector": column}, "vector"))
    return _vectors(found["vector"], os.fspath(path))


def _read(path: Path, columns: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    """What the file has of `COLUMNS`, and what it says about itself."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise EmbeddingError(f"{path}: expected one of {', '.join(_READERS)}")
    if not path.is_file():
        raise EmbeddingError(f"{path}: no such file")
    names = {column: columns.get(column, column) for column in COLUMNS}
    return reader(path, names)


def _read_npy(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    array = _loaded(path)
    if array.ndim == 2 and array.dtype.kind == "f":
        return {"vector": array}, {}
    if array.ndim == 1:
        return {"pid": array}, {}
    if array.ndim == 2 and array.shape[1] == 2:
        return {"pid": array[:, 0], "camid": array[:, 1]}, {}
    raise EmbeddingError(
        f"{path}: expected vectors [n, dim] of floats, or integer labels [n] or [n, 2] (pids, camids), found shape "
        f"{list(array.shape)} of {array.dtype}"
    )


def _loaded(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise EmbeddingError(f"{path}: cannot be read as a numpy file ({error})") from None


def _read_npz(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    if not is_zip(path):
        raise EmbeddingError(f"{path}: cannot be read as a numpy file (it is no zip file)")
    if fault := zip_fault(path):
        raise EmbeddingError(f"{path}: cannot be read ({fault})")
    with _loaded(path) as arrays:
        try:
            return {column: np.asarray(arrays[name]) for column, name in names.items() if name in arrays.files}, {}
        except _UNREADABLE as error:  # for one, an array of Python objects
            raise EmbeddingError(f"{path}: cannot be read ({error})") from None


def _read_mat(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    found = {}
    for column, name in names.items():
        try:
            found[column] = np.asarray(load_mat(path, name)[0])
        except DataError as error:
            if "no variable" not in str(error):
                raise EmbeddingError(str(error)) from None
    return found, {}


def _read_csv(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    return _columns_of(path, read_csv_table(path), names), {}


def _read_parquet(path: Path, names: Mapping[str, str]) -> tuple[dict[str, Array], Mapping[str, Any]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise EmbeddingError(f"{path}: cannot be read as a Parquet file ({error})") from None
    return _columns_of(path, table, names), json.loads((table.schema.metadata or {}).get(b"passerby", b"{}"))


def _columns_of(path: Path, table: pa.Table, names: Mapping[str, str]) -> dict[str, Array]:
    found = {}
    for column, name in names.items():
        if name in table.column_names:
            found[column] = _array(table.column(name).combine_chunks())
        elif column == "vector" and (counted := counted_columns(table.column_names, name, os.fspath(path))):
            found[column] = np.stack([table.column(part).to_numpy() for part in counted], axis=1)
    return found


def _array(column: Any) -> Array:
    """A column as an array; lists of one length as [n, dim]."""
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, column.type.list_size)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy(zero_copy_only=False))


_UNREADABLE = (OSError, ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, BadZipFile, zlib.error)
"""What numpy raises where bytes are missing, changed, encrypted, or promise more than there is memory."""
_READERS: dict[str, Callable[[Path, Mapping[str, str]], tuple[dict[str, Array], Mapping[str, Any]]]] = {
    ".parquet": _read_parquet,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".csv": _read_csv,
}

_NAMES_IN: dict[str, Callable[[Path], Sequence[str]]] = {
    ".parquet": lambda path: pq.read_schema(path).names,
    ".npy": lambda path: (),
    ".npz": lambda path: _loaded(path).files,
    ".mat": mat_names,
    ".csv": lambda path: read_csv_table(path).column_names,
}
"""What the columns or arrays of a file are called; a .npy file has one array without a name."""


def _vectors(values: Array, where: str) -> Float32:
    if values.dtype.kind == "O":
        values = _stacked([_row(value, i, where) for i, value in enumerate(values)], where)
    return as_vectors(values, f"{where}: vector")


def _row(value: Any, row: int, where: str) -> Array:
    try:
        words = value.strip("[]() ").replace(",", " ").replace(";", " ").split() if isinstance(value, str) else value
        numbers = np.array(words, dtype=np.float32)
    except (TypeError, ValueError):
        numbers = np.empty((), np.float32)
    if numbers.ndim != 1:
        found = "nothing" if value is None else repr(str(value)[:60])
        raise EmbeddingError(f"{where}: expected a vector of numbers, found {found} in {_row_in_file(row, where)}")
    return numbers


def _stacked(rows: list[Array], where: str) -> Array:
    other = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if other is not None:
        raise EmbeddingError(
            f"{where}: expected vectors of one length, found {len(rows[other])} numbers in "
            f"{_row_in_file(other, where)} after {len(rows[0])}"
        )
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def _integers(values: Array, name: str, where: str) -> npt.NDArray[np.int64]:
    numbers = _numbers(values, name, where)
    wrong = np.argwhere(~np.isfinite(numbers) | (numbers != np.round(numbers)))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        value = "nothing (or nan)" if np.isnan(numbers[place]) else numbers[place]
        raise EmbeddingError(f"{where}: {name}: expected integers, found {value} in {_row_in_file(place[0], where)}")
    too_large = np.argwhere(np.abs(numbers) >= _LARGEST)
    if len(too_large):
        place = tuple(too_large[0].tolist())
        raise EmbeddingError(
            f"{where}: {name}: expected integers of 64 bits, found {numbers[place]:.0f} in "
            f"{_row_in_file(place[0], where)}"
        )
    return (values if values.dtype.kind in "iu" else numbers).astype(np.int64)


def _cameras(values: Array, where: str) -> npt.NDArray[np.int64]:
    camids = _integers(values, "camid", where)
    wrong = np.argwhere(camids < -1)
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise EmbeddingError(
            f"{where}: camid: expected cameras from 0 on, or -1 where it is not known, found {camids[place]} in "
            f"{_row_in_file(place[0], where)}"
        )
    return camids


def _row_in_file(row: int, where: str) -> str:
    """A row, given from 0, as it is found in the file."""
    return f"row {row + 2} (row 1 is the header)" if where.lower().endswith(".csv") else f"row {row} (counted from 0)"


def _numbers(values: Array, name: str, where: str) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise EmbeddingError(f"{where}: {name}: expected numbers ({error})") from None


def export_vectors(embeddings: Embeddings, target: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write vectors for other programs, and a CSV file of their labels beside them (target.labels.csv).

    Args:
        embeddings: what to write.
        target: .npy, or .faiss for a flat index of Euclidean distances (`faiss.read_index`).

    Returns:
        Both files.

    Raises:
        EmbeddingError: another kind of file.
        MissingExtraError: a FAISS index, and faiss is not installed.
        StorageError: writing failed; what was there before is intact.
    """
    path = Path(target)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise EmbeddingError(f"{path}: expected one of {', '.join(_WRITERS)}")
    with replace_file(path) as temporary:
        writer(embeddings.vectors, temporary)
    labels = path.with_suffix(".labels.csv")
    with replace_file(labels) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["row", "pid", "camid", *(["path"] if embeddings.paths else [])])
        for i in range(len(embeddings)):
            path_of = [embeddings.paths[i]] if embeddings.paths else []
            rows.writerow([i, int(embeddings.pids[i]), int(embeddings.camids[i]), *path_of])
    return path, labels


def _write_npy(vectors: Float32, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, vectors)


def _write_faiss(vectors: Float32, path: Path) -> None:
    try:
        faiss = importlib.import_module("faiss")
    except ImportError:
        raise MissingExtraError("faiss-cpu", "faiss", "a FAISS index") from None
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    path.write_bytes(faiss.serialize_index(index).tobytes())


_WRITERS: dict[str, Callable[[Float32, Path], None]] = {".npy": _write_npy, ".faiss": _write_faiss}

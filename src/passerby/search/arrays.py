"""The entrance check of vectors and labels: numpy, torch or lists in, float32 and int64 numpy out."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from passerby.array_types import Float32, Int64
from passerby.errors import EmbeddingError
from passerby.plain_names import is_unknown, plain_key

if TYPE_CHECKING:
    import torch

Vectors: TypeAlias = "npt.NDArray[Any] | torch.Tensor | Sequence[Sequence[float]]"
Labels: TypeAlias = "npt.NDArray[Any] | torch.Tensor | Sequence[int] | Sequence[str]"

_CHECK_ROWS = 8192


def as_vectors(vectors: Vectors, name: str) -> Float32:
    """Check vectors and return them as a C-contiguous float32 array [n, D] (no copy where they already are).

    Raises:
        EmbeddingError: not two-dimensional, not floating point, empty, or with an entry that is NaN, infinite, or too
            large to be squared in float32.
    """
    if _is_tensor(vectors):
        tensor = vectors.detach()
        array: npt.NDArray[Any] = (tensor.float() if tensor.dtype.itemsize == 2 else tensor).cpu().numpy()
    else:
        array = np.asarray(vectors)
    if array.dtype.kind != "f":
        raise EmbeddingError(f"{name}: expected floating-point vectors, found dtype {array.dtype}")
    if array.ndim != 2:
        raise EmbeddingError(f"{name}: expected shape [n, dim], found {list(array.shape)}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise EmbeddingError(f"{name}: expected at least one vector, found shape {list(array.shape)}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    for start in range(0, len(array), _CHECK_ROWS):
        part = array[start : start + _CHECK_ROWS]
        with np.errstate(over="ignore", invalid="ignore"):
            usable = np.isfinite(np.einsum("nd,nd->n", part, part))
        if not usable.all():
            row = int(np.argmin(usable))
            fault = "a NaN or infinite value" if not np.isfinite(part[row]).all() else "numbers whose squares overflow"
            raise EmbeddingError(f"{name}: row {start + row} holds {fault}; check the model that made it")
    return array


def _is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Whether it is torch's; who has none need not wait for its import."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_labels(labels: Labels, count: int, name: str, vectors_name: str) -> Int64:
    """Check integer labels and return them as int64 [count].

    Raises:
        EmbeddingError: not integers, not one-dimensional, or not as many as there are vectors.
    """
    array = labels.detach().cpu().numpy() if _is_tensor(labels) else np.asarray(labels)
    if array.ndim != 1 or len(array) != count:
        raise EmbeddingError(
            f"{name}: expected {count:,} labels, one for each row of {vectors_name}, found shape {list(array.shape)}"
        )
    if array.dtype.kind not in "iu":
        way = "; number_names gives names of several columns the same numbers" if array.dtype.kind in "UO" else ""
        raise EmbeddingError(f"{name}: expected integers, found dtype {array.dtype}{way}")
    return np.ascontiguousarray(array, dtype=np.int64)


def number_names(
    *columns: Labels | None, first: int = 1, unknown: int | None = None
) -> tuple[tuple[Labels | None, ...], dict[str, int]]:
    """Numbers for what is called by names, the same ones in all columns and for all writings of a name (`plain_key`).

    Args:
        *columns: labels [n]; None stays None. Where none of them holds text, they are returned as they are.
        first: number of the first name in sorted order. Text that is a number in every column is that number.
        unknown: number of what nothing, or -1, stands for among names; None: these are names, too.

    Returns:
        (the columns as integers, number of each name; {} where there were numbers only).
    """
    arrays = [None if c is None or _is_tensor(c) else np.asarray(c) for c in columns]
    if not any(a is not None and _is_text(a) for a in arrays):
        return columns, {}
    texts = [
        [str(value) for value in (column if array is None else array.tolist())]
        for column, array in zip(columns, arrays, strict=True)
        if column is not None
    ]
    key = {text: plain_key(text) for column in texts for text in column}
    nameless = set() if unknown is None else {text for text in key if is_unknown(text)}
    names = sorted({key[text] for text in key.keys() - nameless})
    numbers = all(re.fullmatch(r"-?\d+", name) for name in names)
    number = {name: int(name) if numbers else i for i, name in enumerate(names, start=first)}
    of_text = {text: unknown if text in nameless else number[key[text]] for text in key}
    numbered = iter(np.asarray([of_text[text] for text in column], dtype=np.int64) for column in texts)
    return tuple(None if column is None else next(numbered) for column in columns), {} if numbers else number


def _is_text(array: npt.NDArray[Any]) -> bool:
    return array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(v, str) for v in array.flat))


def as_vector_pair(
    query_vectors: Vectors, gallery_vectors: Vectors, query_name: str, gallery_name: str
) -> tuple[Float32, Float32]:
    """Both sets checked by `as_vectors`, and of one length of vector.

    Raises:
        EmbeddingError: either is refused, or they have different dimensions.
    """
    query, gallery = as_vectors(query_vectors, query_name), as_vectors(gallery_vectors, gallery_name)
    check_same_dim(query, gallery, query_name, gallery_name)
    return query, gallery


def check_same_dim(query: Float32, gallery: Float32, query_name: str, gallery_name: str) -> None:
    """Raise `EmbeddingError` unless both have vectors of one length.

    Raises:
        EmbeddingError: they differ.
    """
    if query.shape[1] != gallery.shape[1]:
        raise EmbeddingError(
            f"{query_name} has {query.shape[1]} dimensions and {gallery_name} {gallery.shape[1]}: "
            "both must come from the same encoder"
        )

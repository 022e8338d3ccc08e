"""Pictures that an identity has already: the same picture enrolled twice says nothing new about the person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.gallery.enrolment import NewObservations
from passerby.gallery.identities import find_all
from passerby.gallery.stores.protocol import Store
from passerby.plain_names import plain_key

SAME_PICTURE = 1e-3
"""Distance of the vectors of one picture that an encoder saw in batches of two sizes, or that was stored as float16."""


def new_rows(store: Store, names: Sequence[str], observations: NewObservations) -> Int64:
    """Rows of observations [n] that the identity of their name does not have yet, in their order.

    An observation is repeated where the identity has one with an equal vector, or with an equal thumbnail and nearly
    the same vector; rows before it count as well.

    Args:
        store: inside its transaction.
        names: of the identity of each row.
        observations: what is to be stored.
    """
    known = find_all(store, list(dict.fromkeys(names)))
    rows_of: dict[int | str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(known[name].id if name in known else plain_key(name), []).append(row)
    kept: list[int] = []
    for owner, rows in rows_of.items():
        has = _Pictures(store, observations.dim, owner if isinstance(owner, int) else None)
        for row in rows:
            vector, picture = observations.vectors[row], observations.thumbnails[row]
            if not has.contain(vector, picture):
                has.add(vector, picture)
                kept.append(row)
    return np.array(sorted(kept), np.int64)


class _Pictures:
    """Vectors and thumbnails of one identity: those stored, and those added since."""

    def __init__(self, store: Store, dim: int, identity: int | None) -> None:
        self._store = store
        self._ids = np.empty(0, np.int64) if identity is None else store.observations([identity]).ids
        self._stored = store.vectors(self._ids) if len(self._ids) else np.empty((0, dim), np.float32)
        self._added: list[tuple[Float32, bytes | None]] = []

    def add(self, vector: Float32, picture: bytes | None) -> None:
        self._added.append((vector, picture))

    def contain(self, vector: Float32, picture: bytes | None) -> bool:
        near = np.flatnonzero(np.linalg.norm(self._stored - vector, axis=1) < SAME_PICTURE)
        if any(_equal(vector, self._stored[row]) for row in near.tolist()):
            return True
        if picture is not None and picture in self._store.thumbnails(self._ids[near]):
            return True
        return any(
            np.array_equal(vector, own)
            or (picture is not None and picture == other and float(np.linalg.norm(vector - own)) < SAME_PICTURE)
            for own, other in self._added
        )


def _equal(vector: Float32, stored: Float32) -> bool:
    """Whether a stored vector is this one, as it is or as float16 stores it."""
    return np.array_equal(vector, stored) or np.array_equal(vector.astype(np.float16), stored)

"""Who is in training and who in the test: random but written down, by identity, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from typing import TypeVar

SEED = 20150101  # of every benchmark whose papers draw their splits at random

_T = TypeVar("_T")


def shuffled(items: Iterable[_T], *key: Hashable) -> list[_T]:
    """The items in an order drawn from the key, whatever order they came in.

    Each item's place is the hash of (key, item), so the order does not depend on a library's random generator and
    stays the same in every version.
    """
    words = "\0".join(str(part) for part in key)
    return sorted(items, key=lambda item: hashlib.sha256(f"{words}\0{item}".encode()).digest())


def random_halves(pids: Iterable[int], test: int, *, dataset: str, split: int) -> tuple[list[int], list[int]]:
    """Training and test identities of the `split`-th random split, each in ascending order; `test` of them test."""
    order = shuffled(sorted(set(pids)), SEED, dataset, split)
    return sorted(order[test:]), sorted(order[:test])

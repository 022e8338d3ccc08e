"""The newest or oldest rows of a collection without reading the others: Milvus does not sort, but it counts.

A bound is searched for above which enough rows are, and few more: from the values of some rows upwards, in steps that
double, and then between two bounds. What is read does not depend on how many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from passerby.gallery.stores.milvus.connection import Connection

SPARE = 200
"""Rows that may be read beyond those that are wanted."""


@dataclass(frozen=True)
class Rows:
    """Rows of a collection, ordered by a numeric field.

    Attributes:
        connection: of the gallery.
        collection: its name.
        condition: which rows.
        by: the field, finite in all of them.
        oldest: the smallest values come first, not the largest.
        then: field of different integers that decides between rows of one value; "": `by` is one itself.
    """

    connection: Connection
    collection: str
    condition: str
    by: str
    oldest: bool = False
    then: str = ""

    def first(self, wanted: int, fields: Sequence[str]) -> list[dict[str, Any]]:
        """The first so many rows, in any order, and up to `SPARE` others; all, if there are no more."""
        if wanted < 1:
            return []
        most = wanted + SPARE
        found = self.connection.some(self.collection, self.condition, [*fields, *({self.by} - {*fields})], most + 1)
        if len(found) <= most:
            return found
        bound = _bound([self._value(row[self.by]) for row in found], self._count_from, wanted, most)
        if self._count_from(bound) <= most or not self.then:
            return self._query(self._from(bound), fields)
        beyond = self._query(self._from(bound, strictly=True), fields)
        level = f"({self.condition}) and {self.by} == {self._value(bound)!r}"
        others = Rows(self.connection, self.collection, level, self.then)
        return beyond + others.first(wanted - len(beyond), fields)

    def _value(self, key: float) -> float:
        return -key if self.oldest else key

    def _from(self, key: float, *, strictly: bool = False) -> str:
        sign = ("<" if self.oldest else ">") + ("" if strictly else "=")
        return f"({self.condition}) and {self.by} {sign} {self._value(key)!r}"

    def _count_from(self, key: float) -> int:
        return self.connection.count(self.collection, self._from(key))

    def _query(self, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        return self.connection.query(self.collection, condition, fields)


def _bound(sample: Sequence[float], count_from: Callable[[float], int], wanted: int, most: int) -> float:
    """A key from which on there are `wanted` rows or more, and at most `most` unless more have this very key.

    Args:
        sample: keys of some rows, of more than `wanted`.
        count_from: how many rows have a key or a larger one.
        wanted: least number of rows.
        most: largest number of rows.
    """
    low = sorted(sample)[-wanted]  # so many have it or a larger one
    step = max(max(sample) - min(sample), 1)
    count = count_from(low)
    while count > most:
        high = low + step
        count_there = count_from(high)
        if count_there < wanted:
            return _between(low, high, count_from, wanted, most)
        low, count, step = high, count_there, 2 * step
    return low


def _between(low: float, high: float, count_from: Callable[[float], int], wanted: int, most: int) -> float:
    """`_bound` between a key from which on there are too many rows and one from which on there are too few."""
    while True:
        middle = (low + high) // 2 if isinstance(low, int) else low + (high - low) / 2
        if middle in (low, high):
            return low
        count = count_from(middle)
        if count < wanted:
            high = middle
        elif count > most:
            low = middle
        else:
            return middle

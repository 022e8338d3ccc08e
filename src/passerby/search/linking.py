"""Average-linkage clustering of groups that may not be joined at will."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from passerby.search.jaccard import Pairs


@dataclass(frozen=True)
class Join:
    """Two groups became one.

    Attributes:
        into: the group that stays.
        other: the group that is part of it from now on.
        similarity: mean over all pairs of their members, 0 to 1.
    """

    into: int
    other: int
    similarity: float


def join_groups(pairs: Pairs, groups: Sequence[int], apart: Iterable[tuple[int, int]], *, least: float) -> list[Join]:
    """Join the two most similar groups, again and again, as long as their mean similarity is at least `least`.

    Args:
        pairs: for each member the similarity to others; 0 where they are not in it.
        groups: the group of each member, by number.
        apart: pairs of groups that must never be joined; it holds for what they become part of.
        least: mean similarity of the members of two groups.

    Returns:
        What was joined, in order; the group of the smaller number stays.
    """
    sizes: dict[int, int] = {}
    links: dict[int, dict[int, float]] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
        links.setdefault(group, {})
    for i, others in enumerate(pairs):
        for j, similarity in others.items():
            one, other = groups[i], groups[j]
            if one != other:
                links[one][other] = links[one].get(other, 0.0) + similarity
    never: dict[int, set[int]] = {group: set() for group in sizes}
    for one, other in apart:
        never[one].add(other)
        never[other].add(one)

    def mean(one: int, other: int) -> float:
        return links[one][other] / (sizes[one] * sizes[other])

    heap = [
        (-mean(one, other), one, other)
        for one, others in links.items()
        for other in others
        if one < other and mean(one, other) >= least
    ]
    heapq.heapify(heap)
    joins: list[Join] = []
    while heap:
        negative, one, other = heapq.heappop(heap)
        if one not in sizes or other not in sizes or other in never[one] or mean(one, other) != -negative:
            continue  # joined since, or their mean has changed
        joins.append(Join(one, other, -negative))
        for third, total in links.pop(other).items():
            if third == one:
                continue
            links[one][third] = links[third][one] = links[one].get(third, 0.0) + total
            del links[third][other]
        del links[one][other]
        sizes[one] += sizes.pop(other)
        for third in never.pop(other):
            never[third].discard(other)
            never[third].add(one)
            never[one].add(third)
        for third in links[one]:
            if mean(one, third) >= least:
                heapq.heappush(heap, (-mean(one, third), min(one, third), max(one, third)))
    return joins

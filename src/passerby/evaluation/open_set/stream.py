"""Novelty on a stream: whoever is not recognised is enrolled as somebody new, image after image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from passerby import array_types
from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError
from passerby.evaluation.inputs import check_name, is_number
from passerby.search import arrays
from passerby.search.exact_keys import exact_keys
from passerby.search.relevance import METRICS
from passerby.strict_json import json_values


@dataclass(frozen=True)
class StreamReport:
    """What became of each image; fractions, never percents.

    Attributes:
        assigned: number of the identity each image was given, counted from 0 in order of enrolment, [n].
        distance: to the nearest enrolled image when it came (infinity for the first), [n].
        new: whether it was enrolled as a new identity, [n].
        seen: whether its person had come before, [n].
        recognised: share of images of people seen before that were given an identity enrolled for that person.
        confused: share of them that were given another person's.
        missed: share of them that were enrolled as a new identity.
        novel: share of first images that were enrolled as a new identity.
        identities: how many identities were enrolled.
        people: how many people there were.
        threshold: accept when the distance is smaller than this.
        metric: "euclidean" or "cosine".
    """

    assigned: Int64
    distance: Float64
    new: array_types.Bool
    seen: array_types.Bool
    recognised: float
    confused: float
    missed: float
    novel: float
    identities: int
    people: int
    threshold: float
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON (without the rows of single images)."""
        rows = ("assigned", "distance", "new", "seen")
        return dict(json_values({name: getattr(self, name) for name in self.__dataclass_fields__ if name not in rows}))

    def __str__(self) -> str:
        return (
            f"people seen before: {self.recognised:.4f} recognised, {self.confused:.4f} confused, "
            f"{self.missed:.4f} missed; people not seen before: {self.novel:.4f} noticed\n"
            f"{len(self.assigned):,} images of {self.people:,} people became {self.identities:,} identities, "
            f"{self.metric} distance below {self.threshold:.4f}"
        )


def enroll_stream(
    vectors: arrays.Vectors,
    pids: arrays.Labels,
    *,
    threshold: float,
    metric: str = "euclidean",
    add_accepted: bool = False,
) -> StreamReport:
    """Recognise or enrol images one after the other, starting from nobody.

    The nearest enrolled image decides: nearer than the threshold (strictly), and the image is of that identity; else
    it becomes a new one. Equally near images: the one enrolled first.

    Args:
        vectors: [n, dim], in the order in which they come.
        pids: [n], who they really are.
        threshold: accept when the distance is smaller than this.
        metric: "euclidean" or "cosine".
        add_accepted: also enrol recognised images, under the identity they were given (which drifts when it is wrong).

    Raises:
        EmbeddingError: vectors and labels that do not fit each other, or a threshold that is not a number.
        ConfigError: an unknown metric.
    """
    check_name("metric", metric, METRICS)
    if not is_number(threshold) or not threshold >= 0:
        raise EmbeddingError(f"threshold: expected a distance of 0 or more, found {threshold!r}")
    images = arrays.as_vectors(vectors, "vectors")
    people = arrays.as_labels(pids, len(images), "pids", "vectors")
    n = len(images)
    enrolled = np.empty_like(images)
    identity = np.empty(n, dtype=np.int64)  # of each enrolled image
    owner: list[int] = []  # the person each identity was enrolled for
    assigned, distance, new = np.empty(n, dtype=np.int64), np.full(n, np.inf), np.zeros(n, dtype=np.bool_)
    count = 0
    for i in range(n):
        near = -1
        if count:
            keys = exact_keys(images, enrolled, np.full(count, i), np.arange(count), metric == "cosine")
            near = int(np.argmin(keys))
            distance[i] = keys[near] if metric == "cosine" else np.sqrt(keys[near])
        new[i] = not distance[i] < threshold
        if new[i]:
            owner.append(int(people[i]))
        assigned[i] = len(owner) - 1 if new[i] else identity[near]
        if new[i] or add_accepted:
            enrolled[count], identity[count] = images[i], assigned[i]
            count += 1
    first = np.zeros(n, dtype=np.bool_)
    first[np.unique(people, return_index=True)[1]] = True
    right = ~new & (np.array(owner)[assigned] == people)
    return StreamReport(
        assigned=assigned,
        distance=distance,
        new=new,
        seen=~first,
        recognised=_share(right, ~first),
        confused=_share(~new & ~right, ~first),
        missed=_share(new, ~first),
        novel=_share(new, first),
        identities=len(owner),
        people=int(first.sum()),
        threshold=threshold,
        metric=metric,
    )


def _share(which: array_types.Bool, among: array_types.Bool) -> float:
    return float(which[among].mean()) if among.any() else float("nan")

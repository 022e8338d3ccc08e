"""How well identities that were given one after the other tell people apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.errors import EmbeddingError
from passerby.search import arrays


@dataclass(frozen=True)
class AssignmentReport:
    """Figures of a stream; fractions, never percents.

    Attributes:
        items: how many there were (images or tracklets).
        people: how many people they show.
        identities: how many identities they were given.
        inflation: identities for each person.
        pairwise_precision: share of pairs with one identity that show one person; NaN without such a pair.
        pairwise_recall: share of pairs of one person that have one identity; NaN without such a pair.
        returns: items of people who came before.
        returns_recognised: share of them whose identity was given to an earlier item of that person.
    """

    items: int
    people: int
    identities: int
    inflation: float
    pairwise_precision: float
    pairwise_recall: float
    returns: int
    returns_recognised: float

    def __str__(self) -> str:
        return (
            f"{self.people:,} people became {self.identities:,} identities ({self.inflation:.2f} each); pairwise "
            f"precision {self.pairwise_precision:.4f}, recall {self.pairwise_recall:.4f}; "
            f"{self.returns_recognised:.4f} of {self.returns:,} returns recognised"
        )


def evaluate_assignment(identities: arrays.Labels, pids: arrays.Labels) -> AssignmentReport:
    """Compare identities with people.

    Args:
        identities: [n], what each item was given, in the order in which they came.
        pids: [n], who each item shows.

    Raises:
        EmbeddingError: no items, or not as many labels as identities.
    """
    people = np.asarray(pids)
    if not len(people):
        raise EmbeddingError("assignment: expected at least one item, found none")
    who = arrays.as_labels(pids, len(people), "pids", "items")
    given = arrays.as_labels(identities, len(people), "identities", "pids")
    pairs = [_pairs(np.column_stack(columns)) for columns in ((given, who), (given,), (who,))]
    both, same_identity, same_person = pairs
    seen: dict[int, set[int]] = {}
    returns = recognised = 0
    for identity, person in zip(given.tolist(), who.tolist(), strict=True):
        if person in seen:
            returns += 1
            recognised += identity in seen[person]
        seen.setdefault(person, set()).add(identity)
    count = len(np.unique(given))
    return AssignmentReport(
        items=len(who),
        people=len(seen),
        identities=count,
        inflation=count / len(seen),
        pairwise_precision=_share(both, same_identity),
        pairwise_recall=_share(both, same_person),
        returns=returns,
        returns_recognised=_share(recognised, returns),
    )


def _pairs(keys: np.ndarray) -> int:
    """Pairs of equal rows."""
    counts = np.unique(keys, axis=0, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")

"""What people have judged about pairs of identities: one person, or different people. It stands in the log alone.

So it can be undone like every change, and is erased with either identity.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from passerby.errors import GalleryRequestError
from passerby.gallery.changes import write_event
from passerby.gallery.identities import final_identity
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord

PairJudgement: TypeAlias = Literal["different people", "one person"]
JUDGEMENTS: tuple[PairJudgement, ...] = ("different people", "one person")


def judge_pair(store: Store, one: IdentityRecord, other: IdentityRecord, judgement: str, actor: str) -> None:
    """Write a judgement to the log; called inside `store.transaction()`.

    Raises:
        GalleryError: an unknown judgement, or both are the same identity.
    """
    if judgement not in JUDGEMENTS:
        expected = " or ".join(map(repr, JUDGEMENTS))
        raise GalleryRequestError(f"judgement: expected {expected}, found {judgement!r}")
    if one.id == other.id:
        raise GalleryRequestError(f"{store.location}: {one.name!r} and {other.name!r} are the same identity")
    write_event(store, "pair", one.id, actor, other=other.id, detail={"judgement": judgement})


def judged_pairs(store: Store) -> dict[tuple[int, int], str]:
    """The last judgement of each pair of identities (smaller number first); merged ones are their last owners'."""
    events = store.pair_judgements()
    if not events:
        return {}
    records, judged = store.identities(), {}
    for event in events:
        ends = [records.get(identity or 0) for identity in (event.identity, event.other)]
        owners = sorted(final_identity(records, end).id for end in ends if end is not None)
        if len(set(owners)) == 2 and "judgement" in event.detail:
            judged[owners[0], owners[1]] = str(event.detail["judgement"])
    return judged


def people_under_one_number(store: Store) -> dict[int, int]:
    """For identities that are one person with another: the smallest number among them."""
    smallest: dict[int, int] = {}

    def find(identity: int) -> int:
        while smallest.get(identity, identity) != identity:
            identity = smallest[identity]
        return identity

    for (one, other), judgement in judged_pairs(store).items():
        if judgement == "one person":
            low, high = sorted((find(one), find(other)))
            smallest[high] = low
    return {identity: find(identity) for identity in smallest if find(identity) != identity}

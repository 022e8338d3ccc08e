"""Pieces of the small protocols: random halves of the persons, and one image (or N) drawn of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from passerby.data.random_split import SEED, random_halves, shuffled
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError


def own_split(split: int) -> str:
    """The note of a random split that no paper used."""
    return f"random split {split}, drawn from the seed {SEED}; report the mean and the deviation over all splits"


def halves(dataset: str, pids: Iterable[int], split: int, test: int | None = None) -> tuple[set[int], set[int]]:
    """Training and test persons of a random split; `test` of them, or the larger half, are test persons.

    Raises:
        DataError: there are not enough persons.
    """
    unique = sorted(set(pids))
    wanted = (len(unique) + 1) // 2 if test is None else test
    if not 0 < wanted <= len(unique):
        raise DataError(f"{dataset}: cannot draw {wanted} test persons from {len(unique)}")
    train, chosen = random_halves(unique, wanted, dataset=dataset, split=split)
    return set(train), set(chosen)


def of(samples: Iterable[Sample], pids: Collection[int], camid: int | None = None) -> tuple[Sample, ...]:
    """The samples of some persons, under one camera if it is given."""
    return tuple(s for s in samples if s.pid in pids and (camid is None or s.camid == camid))


def draw(samples: Sequence[Sample], shots: int, *key: object) -> tuple[Sample, ...]:
    """At most `shots` images of each person and camera, drawn from the key, in the order they came in."""
    groups: dict[tuple[int, int], list[str]] = {}
    for sample in samples:
        groups.setdefault((sample.pid, sample.camid), []).append(sample.path.name)
    chosen = {(*group, name) for group, names in groups.items() for name in shuffled(names, SEED, *key, *group)[:shots]}
    return tuple(s for s in samples if (s.pid, s.camid, s.path.name) in chosen)


def check_shots(dataset: str, shots: int) -> str:
    """The protocol that goes with so many images of each person.

    Raises:
        DataError: fewer than one.
    """
    if shots < 1:
        raise DataError(f"{dataset}: shots is {shots}; expected 1 or more images of each person")
    return "single_shot" if shots == 1 else "market1501"


def check_choice(dataset: str, argument: str, value: object, choices: Collection[object]) -> None:
    """Whether an argument of a reader is one of its choices.

    Raises:
        DataError: it is not.
    """
    if value not in choices:
        raise DataError(f"{dataset}: {argument} is {value!r}; expected {' or '.join(map(repr, choices))}")


def swapped(dataset: ReIDDataset, direction: str) -> ReIDDataset:
    """Query and gallery exchanged if the direction is "ba".

    Raises:
        DataError: another direction than "ab" or "ba".
    """
    check_choice(dataset.name, "direction", direction, ("ab", "ba"))
    if direction == "ab":
        return dataset
    return replace(dataset, query=dataset.gallery, gallery=dataset.query, notes=(*dataset.notes, "from camera b to a"))


def counted_from_one(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Persons numbered from 1: sets that count from 0 are shifted by one (0 means "distractor" here)."""
    if all(s.pid > 0 for s in samples):
        return tuple(samples)
    return tuple(replace(s, pid=s.pid + 1) for s in samples)

"""Several datasets in one: train on some, test on another, without two people ever sharing a number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from passerby.data.info import published
from passerby.data.records import UNKNOWN_CAMERA, ReIDDataset, Sample
from passerby.errors import DataError

_log = logging.getLogger(__name__)


def combine_datasets(
    train: Sequence[ReIDDataset], test: ReIDDataset | None = None, *, name: str | None = None
) -> ReIDDataset:
    """Merge the training parts of several datasets; test on one of them, or on another.

    Person and tracklet numbers of the training parts are made anew, 1, 2, ... over the datasets in their order and
    above every number of the test; cameras likewise. The test keeps its own.

    Args:
        train: datasets to learn from; their tests are left out.
        test: the dataset whose query and gallery are kept, with its protocol; None: none are.
        name: default: "A+B", with ":C" behind it if the test is another dataset.

    Returns:
        The combined dataset; its notes say what it is made of, and which datasets may show the same people.

    Raises:
        DataError: nothing to train on.
    """
    if not any(data.train for data in train):
        raise DataError("nothing to combine: none of the datasets has training images")
    kept = (*test.query, *test.gallery) if test else ()
    merged: list[Sample] = []
    for data in train:
        merged += _shift(data.train, (*merged, *kept))
    notes = [f"trained on {data.name}: {len({s.pid for s in data.train}):,} persons" for data in train]
    if test:
        notes += [f"tested on {test.name}", *test.notes]
    for one, other in _same_people([data.name for data in train], test.name if test else None):
        notes.append(f"{one} and {other} may show the same people")
        _log.warning(
            "%s and %s may show the same people: a test on one of a model trained on the other flatters", one, other
        )
    return ReIDDataset(
        name or _name(train, test),
        tuple(merged),
        test.query if test else (),
        test.gallery if test else (),
        test.protocol if test else train[0].protocol,
        tuple(notes),
    )


def _shift(samples: Sequence[Sample], before: Sequence[Sample]) -> list[Sample]:
    """Number persons, cameras and tracklets above those that are already there."""
    pid = _renumber([s.pid for s in samples], before, lambda s: s.pid, lowest=1)
    camid = _renumber([s.camid for s in samples if s.camid != UNKNOWN_CAMERA], before, lambda s: s.camid)
    camid[UNKNOWN_CAMERA] = UNKNOWN_CAMERA
    tracks = [s.tracklet for s in samples if s.tracklet is not None]
    tracklet = _renumber(tracks, before, lambda s: s.tracklet)
    return [
        replace(s, pid=pid[s.pid], camid=camid[s.camid], tracklet=None if s.tracklet is None else tracklet[s.tracklet])
        for s in samples
    ]


def _renumber(
    values: Sequence[int], before: Sequence[Sample], of: Callable[[Sample], int | None], lowest: int = 0
) -> dict[int, int]:
    taken = [number for number in map(of, before) if number is not None]
    first = max([lowest, *(number + 1 for number in taken)])
    return {value: first + i for i, value in enumerate(sorted(set(values)))}


def _same_people(train: Sequence[str], test: str | None) -> list[tuple[str, str]]:
    names = list(dict.fromkeys([*train, *([test] if test else [])]))
    known = published()
    return [
        (one, other)
        for i, one in enumerate(names)
        for other in names[i + 1 :]
        if one in known and other in known[one].same_people
    ]


def _name(train: Sequence[ReIDDataset], test: ReIDDataset | None) -> str:
    names = "+".join(data.name for data in train)
    return names if test is None or test.name == train[0].name else f"{names}:{test.name}"

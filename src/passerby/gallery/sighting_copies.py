"""Sightings from one store to another, and compared afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from passerby.array_types import Float32
from passerby.errors import GalleryError
from passerby.gallery.sightings import own_observations
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import SightingRecord, SightingWhere
from passerby.progress import progress_bar

_AT_ONCE = 1_000
_TOLERANCE = 2e-3  # float16 storage rounds vectors


def copy_sightings(old: Store, new: Store, identities: Mapping[int, int], observations: Mapping[int, int]) -> int:
    """Copy all sightings with pictures and vectors; how many.

    Args:
        old: from.
        new: to; in a transaction.
        identities: new ids by old ones.
        observations: new ids by old ones.
    """
    there = np.array(sorted(observations), np.int64)
    records = sorted(old.sightings.select(SightingWhere()), key=lambda record: record.id)
    with progress_bar(f"copy sightings to {new.location}", len(records)) as bar:
        for record, picture, vector in zip(records, *_contents(old, records), strict=True):
            own = own_observations(record, there).tolist()
            copied = replace(
                record,
                identity=identities[record.identity],
                first_observation=observations[own[0]] if own else 0,
                last_observation=observations[own[-1]] if own else 0,
                event=0,  # the copied log says nothing of them
            )
            new.sightings.add(copied, vector, picture)
            bar.advance(1)
    return len(records)


def compare_sightings(old: Store, new: Store, identities: Mapping[int, int]) -> None:
    """Every sighting of the source is in the target, and nothing else.

    Raises:
        GalleryError: they differ.
    """
    theirs, ours = (sorted(one.sightings.select(SightingWhere()), key=lambda r: r.id) for one in (old, new))
    if [_plain(replace(record, identity=identities[record.identity])) for record in theirs] != [
        _plain(record) for record in ours
    ]:
        raise _difference(new, "sightings")
    for other, picture, before, copy, after in zip(ours, *_contents(old, theirs), *_contents(new, ours), strict=True):
        if picture != copy:
            raise _difference(new, f"picture of sighting {other.id}")
        if before is not None and (after is None or float(np.abs(before - after).max()) > _TOLERANCE):
            raise _difference(new, f"vector of sighting {other.id}")


def _contents(
    store: Store, records: Sequence[SightingRecord]
) -> tuple[Iterator[bytes | None], Iterator[Float32 | None]]:
    """Pictures and vectors of sightings, in their order; so many are read at once."""
    parts = [[one.id for one in records[start : start + _AT_ONCE]] for start in range(0, len(records), _AT_ONCE)]
    pictures = chain.from_iterable(store.sightings.thumbnails(part) for part in parts)
    return pictures, chain.from_iterable(store.sightings.vectors(part) for part in parts)


def _plain(record: SightingRecord) -> SightingRecord:
    return replace(record, id=0, event=0, first_observation=0, last_observation=0)


def _difference(new: Store, what: str) -> GalleryError:
    return GalleryError(f"{new.location}: the copy differs from its source ({what}); delete it and migrate again")

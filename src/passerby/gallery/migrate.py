"""From one store to another (a file to Milvus, and back), verified."""

from __future__ import annotations

import os
import time as clock
from contextlib import closing
from dataclasses import asdict, dataclass, replace

import numpy as np

from passerby.array_types import Int64
from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.argument_checks import camera_name
from passerby.gallery.changes import write_event
from passerby.gallery.foreign_rows import checked_record, checked_time
from passerby.gallery.images_or_vectors import checked_thumbnail
from passerby.gallery.sighting_copies import compare_sightings, copy_sightings
from passerby.gallery.stores.opening import open_store
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord, Observations, Where
from passerby.progress import progress_bar
from passerby.search.score import Score

_CHUNK = 5_000
_PROBES = 100
_TOLERANCE = 2e-3  # float16 storage rounds vectors


@dataclass(frozen=True)
class Migration:
    """What was copied, and what the verification compared. All vectors, cameras, times and names were compared."""

    source: str
    target: str
    identities: int
    observations: int
    events: int
    probes: int
    agreement: float
    """Share of the probes whose nearest identity is the same in both (an approximate index may differ)."""
    seconds: float
    sightings: int = 0

    def __str__(self) -> str:
        return (
            f"{self.source} -> {self.target}: {self.identities:,} identities, {self.observations:,} observations, "
            f"{self.sightings:,} sightings and {self.events:,} log entries copied and compared in "
            f"{self.seconds:.1f} s; nearest identity equal for {self.agreement:.1%} of {self.probes} probes. The "
            "source is as it was."
        )


def migrate(source: str | os.PathLike[str], target: str | os.PathLike[str], *, storage: str | None = None) -> Migration:
    """Copy a gallery into a new one, with its identities, thumbnails, settings and log, and compare the two.

    Ids are new, so what happened before can be read in the new log but not undone. The source is not changed.

    Args:
        source: location of the gallery (see `Gallery.open`).
        target: location of a gallery that is empty or does not exist yet.
        storage: of a new file: "float32" (default) or "float16".

    Raises:
        GalleryError: the target is not empty, or the copy differs from the source.
        StorageError: the target cannot be written.
    """
    begin = clock.monotonic()
    with (
        closing(open_store(os.fspath(source), read_only=True)) as old,
        closing(open_store(os.fspath(target), storage=storage)) as new,
    ):
        if new.identities() or new.count():
            raise GalleryError(f"{new.location}: holds identities already; migrate into a new gallery")
        with new.transaction():
            settings = replace(old.settings(), storage=new.settings().storage)
            means = old.camera_statistics(settings.camera_means) if settings.camera_means else None
            version = 0 if means is None else new.put_camera_statistics(means)
            new.change_settings(replace(settings, camera_means=version))
            identities = _copy_identities(old, new)
            columns = old.observations()
            ids = _copy_observations(old, new, columns, identities)
            events = _copy_log(old, new, identities)
            seen = copy_sightings(old, new, identities, dict(zip(columns.ids.tolist(), ids.tolist(), strict=True)))
        compare_sightings(old, new, identities)
        _compare(old, new, columns, ids, identities)
        probes, agreement = _compare_answers(old, new, columns)
    return Migration(
        old.location,
        new.location,
        len(identities),
        len(columns),
        events,
        probes,
        agreement,
        clock.monotonic() - begin,
        seen,
    )


def _copy_identities(old: Store, new: Store) -> dict[int, int]:
    """New ids by old ones."""
    records = {identity: _checked(old, record) for identity, record in sorted(old.identities().items())}
    ids = {identity: new.put_identity(replace(record, id=0, merged_into=None)) for identity, record in records.items()}
    for identity, record in records.items():
        if record.merged_into is not None:
            new.put_identity(replace(record, id=ids[identity], merged_into=ids[record.merged_into]))
    return ids


def _checked(old: Store, record: IdentityRecord) -> IdentityRecord:
    """An identity as `enroll` would have made it: an older version may have stored what is refused now."""
    try:
        return replace(checked_record(asdict(record), record.name), id=record.id, merged_into=record.merged_into)
    except GalleryRequestError as error:
        raise GalleryRequestError(
            f"{old.location}: identity {record.id} cannot be copied ({error}); rename, update or forget it first"
        ) from None


def _copy_observations(old: Store, new: Store, columns: Observations, identities: dict[int, int]) -> Int64:
    """Ids of the copies, in the order of `columns`."""
    parts = [np.zeros(0, np.int64)]
    owners = np.array([identities[i] for i in columns.identities.tolist()], np.int64)
    with progress_bar(f"copy to {new.location}", len(columns)) as bar:
        for start in range(0, len(columns), _CHUNK):
            rows = slice(start, min(start + _CHUNK, len(columns)))
            ids = columns.ids[rows]
            thumbnails = [checked_thumbnail(picture) for picture in old.thumbnails(ids)]
            cameras = [camera_name(camera) for camera in columns.cameras[rows]]
            times = np.array([checked_time(moment) for moment in columns.times[rows].tolist()], np.float64)
            parts.append(new.add_observations(owners[rows], old.vectors(ids), cameras, times, thumbnails))
            bar.advance(len(ids))
    return np.concatenate(parts)


def _copy_log(old: Store, new: Store, identities: dict[int, int]) -> int:
    events = old.events()
    for event in reversed(events):
        identity = identities.get(event.identity or 0)
        other = identities.get(event.other or 0)
        # observation ids in the detail would be wrong here, and former names belong to the old gallery
        detail = {"migrated": True, **({"undone": True} if event.undone else {})}
        if event.action == "pair" and not event.undone and "judgement" in event.detail:
            detail["judgement"] = event.detail["judgement"]  # it still counts
        new.append_event(replace(event, identity=identity, other=other, detail=detail, private={}))
    write_event(new, "migrate", None, "", detail={"events": len(events)})
    return len(events)


def _compare(old: Store, new: Store, columns: Observations, ids: Int64, identities: dict[int, int]) -> None:
    """Every identity and observation of the source is in the target, and nothing else."""
    copies = new.observations()
    if len(copies) != len(columns) or not np.array_equal(np.sort(copies.ids), np.sort(ids)):
        raise _difference(new, f"{len(copies):,} observations instead of {len(columns):,}")
    order = np.searchsorted(copies.ids, ids)
    for what, theirs, ours in (
        ("times", columns.times, copies.times[order]),
        ("identities", [identities[i] for i in columns.identities.tolist()], copies.identities[order]),
    ):
        if not np.array_equal(theirs, ours, equal_nan=what == "times"):
            raise _difference(new, f"{what} of observations")
    cameras = tuple(camera_name(camera) for camera in columns.cameras)
    if cameras != tuple(copies.cameras[row] for row in order.tolist()):
        raise _difference(new, "cameras of observations")
    before, after = old.identities(), new.identities()
    if len(after) != len(before):
        raise _difference(new, f"{len(after):,} identities instead of {len(before):,}")
    for identity, record in before.items():
        if _plain(_checked(old, record), identities) != after[identities[identity]]:
            raise _difference(new, f"identity {identities[identity]}")
    with progress_bar("compare vectors", len(columns)) as bar:
        for start in range(0, len(columns), _CHUNK):
            rows = slice(start, start + _CHUNK)
            difference = np.abs(old.vectors(columns.ids[rows]) - new.vectors(ids[rows]))
            if len(difference) and float(difference.max()) > _TOLERANCE:
                raise _difference(new, f"a vector, by {difference.max():.3g}")
            bar.advance(len(difference))


def _plain(record: IdentityRecord, identities: dict[int, int]) -> IdentityRecord:
    merged = None if record.merged_into is None else identities[record.merged_into]
    return replace(record, id=identities[record.id], merged_into=merged)


def _difference(new: Store, what: str) -> GalleryError:
    return GalleryError(f"{new.location}: the copy differs from its source ({what}); delete it and migrate again")


def _compare_answers(old: Store, new: Store, columns: Observations) -> tuple[int, float]:
    """Identify stored observations in both, each without its own camera; number of probes and share of equal names."""
    if not len(columns):
        return 0, 1.0
    chosen = np.unique(np.linspace(0, len(columns) - 1, _PROBES).astype(np.int64))
    probes = old.vectors(columns.ids[chosen])
    cameras = [columns.cameras[row] for row in chosen.tolist()]
    wheres = [Where() if camera is None else Where(frozenset([camera])) for camera in cameras]
    answers = []
    for store in (old, new):
        rankings = store.search(probes, wheres, top=1, score=Score())
        names = store.names({i for ranking in rankings for i in ranking.identities.tolist()})
        answers.append([[names[i] for i in ranking.identities.tolist()] for ranking in rankings])
    return len(chosen), float(np.mean([one == other for one, other in zip(*answers, strict=True)]))

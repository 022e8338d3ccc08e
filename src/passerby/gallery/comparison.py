"""How a gallery compares: vectors as they are, or without their cameras' means; distances alone, or by a cohort.

Both are off unless somebody asks for them, and say so wherever they decide (`GalleryCalibration`). Stored vectors are
never changed. They are for galleries of many people: from `LEAST_PEOPLE` on a gallery's own people calibrate it, so
that nothing is lost with the encoder's laws, which are of plain distances.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.changes import write_event
from passerby.gallery.means_in_force import means_in_force
from passerby.gallery.stores.protocol import Settings, Store

if TYPE_CHECKING:
    from passerby.embedding.camera_statistics import CameraStatistics

LEAST_PEOPLE = 200
"""Fewer enrolled people are compared without a cohort, and measure no camera means."""


@dataclass(frozen=True)
class Comparison:
    """How a gallery compares.

    Attributes:
        camera_means: version of the camera means that are subtracted from vectors before they are compared; 0: none.
        cohort: whether the distance to the nearest person is judged relative to those of the 20 next nearest ones,
            from 200 enrolled people on.
        cameras: cameras whose own mean is subtracted, each with the number of people whom it is of.
    """

    camera_means: int = 0
    cohort: bool = False
    cameras: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        means = "vectors are compared as they are"
        if self.camera_means:
            cameras = ", ".join(f"{name} ({people:,} people)" for name, people in self.cameras)
            means = f"camera means, version {self.camera_means}, are subtracted from vectors: {cameras}"
        cohort = "relative to those of the 20 next nearest people" if self.cohort else "alone"
        return f"{means}; a nearest distance is judged {cohort}"


def comparison_of(store: Store) -> Comparison:
    """How the gallery compares now."""
    settings = store.settings()
    means = means_in_force(store)
    counts = () if means is None else zip(means.cameras, means.counts.tolist(), strict=True)
    return Comparison(settings.camera_means, settings.cohort, tuple(counts))


def agreed_cohort(store: Store, cohort: bool | None, *, read_only: bool) -> None:
    """What `Gallery.open(cohort=)` asks for: stored in a new gallery, else it must be what is stored.

    Raises:
        GalleryError: it is not.
    """
    if cohort is None:
        return
    settings = store.settings()
    if cohort == settings.cohort:
        return
    if settings.dim or read_only:
        raise GalleryError(
            f"{store.location}: judges distances {_how(settings.cohort)}, opened with cohort={cohort}: leave it out, "
            "or change it with `set_comparison` (`passerby gallery comparison`)"
        )
    with store.transaction():
        store.change_settings(replace(store.settings(), cohort=cohort))


def set_comparison(store: Store, camera_means: bool | None, cohort: bool | None, actor: str) -> None:
    """Change how the gallery compares; what is None stays. Called inside `store.transaction()`.

    Raises:
        GalleryRequestError: too few people, altogether or of each camera; a threshold of the gallery's own.
    """
    old = store.settings()
    new = old
    if cohort is not None and cohort != old.cohort:
        if cohort:
            _check_people(store, "a cohort")
        new = replace(new, cohort=cohort)
    if camera_means is not None and (camera_means or old.camera_means):
        if old.threshold is not None:
            raise GalleryRequestError(
                f"{store.location}: its own threshold, {old.threshold:.4f}, is a distance of vectors as they are "
                "compared now; take it back first (`set_threshold(None)`, `passerby gallery threshold GALLERY none`)"
            )
        version = store.put_camera_statistics(_measured(store)) if camera_means else 0
        new = replace(new, camera_means=version)
    if new == old:
        return
    store.change_settings(new)
    write_event(store, "comparison", None, actor, detail={"old": _detail(old), "new": _detail(new)})


def undo_comparison(store: Store, old: Settings) -> None:
    """Compare as before.

    Raises:
        GalleryRequestError: the camera means of then were erased.
    """
    if old.camera_means and store.camera_statistics(old.camera_means) is None:
        raise GalleryRequestError(
            f"{store.location}: camera means, version {old.camera_means}, were erased, since somebody was forgotten "
            "who was in them; measure them anew (`set_comparison(camera_means=True)`, `passerby gallery comparison "
            "GALLERY --camera-means`)"
        )
    store.change_settings(old)


def _detail(settings: Settings) -> dict[str, int | bool]:
    return {"camera_means": settings.camera_means, "cohort": settings.cohort}


def _how(cohort: bool) -> str:
    return "by a cohort" if cohort else "alone"


def _check_people(store: Store, what: str) -> None:
    people = store.enrolled_rows().people
    if people < LEAST_PEOPLE:
        raise GalleryRequestError(
            f"{store.location}: {what} takes {LEAST_PEOPLE} enrolled people or more, found {people:,}: with fewer the "
            "false accept rate could not be kept"
        )


def _measured(store: Store) -> CameraStatistics:
    """Camera statistics of the enrolled people, without the cameras that take no part."""
    from passerby.embedding.camera_statistics import measure_camera_statistics
    from passerby.embedding.embeddings import Embeddings

    _check_people(store, "camera means")
    rows = store.enrolled_rows()
    columns = store.observations(np.unique(rows.identities).tolist())
    names = sorted({camera for camera in columns.cameras if camera is not None})
    number = {name: place for place, name in enumerate(names)}
    cameras = np.array([-1 if camera is None else number[camera] for camera in columns.cameras], np.int64)
    embeddings = Embeddings(
        store.vectors(columns.ids), columns.identities, cameras, fingerprint=store.settings().fingerprint
    )
    if not (cameras >= 0).any():
        raise GalleryRequestError(f"{store.location}: camera means need cameras, and no enrolled image has one")
    found = measure_camera_statistics(embeddings)
    found = replace(found, cameras=tuple(names[int(camera)] for camera in found.cameras))
    if not found.active:
        seen = ", ".join(f"{name} {people:,}" for name, people in zip(found.cameras, found.counts, strict=True))
        raise GalleryRequestError(
            f"{store.location}: camera means need {found.minimum} enrolled people or more of each of at least two "
            f"cameras, and cameras that differ; found {seen}"
        )
    return found.taking_part()

"""Enrolling many people at once, from a folder or a table: `passerby.enroll_people`."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Float32, UInt8
from passerby.errors import ImageError, UsageError
from passerby.gallery.argument_checks import Camera, camera_name
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import grey_bits, thumbnail
from passerby.gallery.people_files import PersonPicture, read_people
from passerby.gallery.times import Moment, to_seconds
from passerby.images.decode import read_image
from passerby.plain_names import is_same_name
from passerby.progress import progress_bar

UNREADABLE = "cannot be read"
REPEATED = "the same picture of the same person"
_BATCH = 64


@dataclass(frozen=True)
class EnrolledPeople:
    """What `enroll_people` stored; printing it says it in words.

    Attributes:
        people: how many people got an observation.
        observations: ids of the new observations.
        left_out: how many things were left out, by reason.
        unreadable: the first few pictures that cannot be read, with what is wrong.
    """

    people: int
    observations: tuple[int, ...]
    left_out: Mapping[str, int]
    unreadable: tuple[str, ...] = ()
    under_two_names: tuple[tuple[str, str], ...] = ()
    """Files of one and the same picture under the names of two people; all of them were stored."""

    def __str__(self) -> str:
        lines = [f"{len(self.observations):,} pictures of {self.people:,} people enrolled"]
        lines += [f"left out: {count:,} ({reason})" for reason, count in self.left_out.items()]
        lines += [f"  {line}" for line in self.unreadable]
        if self.under_two_names:
            one, other = self.under_two_names[0]
            pairs = "1 pair" if len(self.under_two_names) == 1 else f"{len(self.under_two_names):,} pairs, the first"
            lines.append(f"warning: one picture under two names: {pairs}, {one} and {other}")
        return "\n".join(lines)


def enroll_people(
    gallery: Gallery,
    people: str | os.PathLike[str],
    *,
    camera: Camera | None = None,
    time: Moment | None = None,
    notes: str | None = None,
    consent: str | None = None,
    expires: Moment | None = None,
    skip_repeated: bool = True,
    actor: str = "",
    progress: bool = True,
) -> EnrolledPeople:
    """Enrol the pictures of many people. All are stored at once, or none; one `undo` takes them back.

    A picture that cannot be read is left out and counted, and so is one that its person has already: an interrupted or
    grown folder can be enrolled again.

    Args:
        gallery: opened with an encoder.
        people: a folder or a table; see `passerby.gallery.people_files.read_people`.
        camera: of all pictures, where the folder or table names none.
        time: of all pictures, where the table names none.
        notes: free text about each of them.
        consent: what consent there is, and where it is written down.
        expires: retention date of each of them.
        skip_repeated: leave out pictures that their person has already.
        actor: who makes the change, for the log.
        progress: show a bar on stderr.

    Raises:
        DataError: the folder or table cannot be read, or names nobody.
        UsageError: no picture can be read, or camera or time is given twice.
        GalleryError: no encoder, or another than the gallery's.
    """
    found = read_people(people)
    _check_given_once(found.pictures, camera, time)
    rows, vectors, small, bad, shared = _encode(gallery, found.pictures, progress)
    if not rows:
        raise UsageError(f"{os.fspath(people)}: none of {len(found.pictures):,} pictures can be read: {bad[0]}")
    own_camera = camera_name(camera)
    own_time = None if time is None else to_seconds(time, what="time")
    ids = gallery.enroll_many(
        [row.name for row in rows],
        vectors=vectors,
        cameras=[own_camera if row.camera is None else row.camera for row in rows],
        times=[own_time if row.time is None else row.time for row in rows],
        thumbnails=small,
        notes=notes,
        consent=consent,
        expires=expires,
        skip_repeated=skip_repeated,
        actor=actor,
    )
    left = Counter(found.left_out)
    left.update({UNREADABLE: len(bad), REPEATED: len(rows) - len(ids)})
    new = set(ids)
    enrolled = {seen.identity for seen in gallery.observations() if seen.id in new}
    reasons = {why: count for why, count in left.items() if count}
    return EnrolledPeople(len(enrolled), ids, reasons, tuple(bad[:3]), tuple(shared))


def _check_given_once(pictures: tuple[PersonPicture, ...], camera: Camera | None, time: Moment | None) -> None:
    for what, given, named in (
        ("camera", camera, all(picture.camera is not None for picture in pictures)),
        ("time", time, all(picture.time is not None for picture in pictures)),
    ):
        if given is not None and named:
            raise UsageError(f"{what}: given, but every picture has its own; leave it out")


def _encode(
    gallery: Gallery, pictures: tuple[PersonPicture, ...], progress: bool
) -> tuple[list[PersonPicture], Float32, list[bytes | None], list[str], list[tuple[str, str]]]:
    """Those that can be read, their vectors [n, D] and thumbnails; what is wrong with the others; equal pictures."""
    rows: list[PersonPicture] = []
    parts: list[Float32] = []
    small: list[bytes | None] = []
    bad: list[str] = []
    shared: list[tuple[str, str]] = []
    first_of: dict[bytes, PersonPicture] = {}
    with progress_bar("enrol", len(pictures), quiet=not progress) as bar:
        for start in range(0, len(pictures), _BATCH):
            batch: list[UInt8] = []
            for picture in pictures[start : start + _BATCH]:
                try:
                    batch.append(read_image(picture.path, bits=grey_bits(gallery.encoder)))
                    rows.append(picture)
                    same = first_of.setdefault(_digest(batch[-1]), picture)
                    if not is_same_name(same.name, picture.name):
                        shared.append((os.fspath(same.path), os.fspath(picture.path)))
                except ImageError as error:
                    bad.append(str(error))
            if batch:
                parts.append(gallery.encode(batch))
                small += [thumbnail(pixels) if gallery.thumbnails else None for pixels in batch]
            bar.advance(min(_BATCH, len(pictures) - start))
    return rows, np.concatenate(parts) if parts else np.empty((0, 0), np.float32), small, bad, shared


def _digest(pixels: UInt8) -> bytes:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()

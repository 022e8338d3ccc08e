"""What a dataset is: images with a person id and a camera id, in three parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from passerby.errors import DataError

JUNK_PID = -1
DISTRACTOR_PID = 0
UNKNOWN_CAMERA = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of one person.

    Attributes:
        path: the image file.
        pid: person id as the dataset writes it (-1 junk, 0 distractor under the Market-1501 rules).
        camid: camera, 0-based; -1 where the camera is not known.
        time: seconds, or any clock that orders the images of a camera; None if unknown.
        tracklet: images of one tracklet share this number; None for single images.
    """

    path: Path
    pid: int
    camid: int = UNKNOWN_CAMERA
    time: float | None = None
    tracklet: int | None = None


def not_text(paths: Iterable[Path]) -> str:
    """What is wrong with paths that are no text in UTF-8, as Linux allows; empty where none is."""
    wrong = [str(path) for path in paths if not _is_text(str(path))]
    return f"{len(wrong):,} file name(s) that are no text in UTF-8, first {wrong[0]!r}; rename them" if wrong else ""


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, repr=False)
class ReIDDataset:
    """Training identities, and a query and a gallery of people never seen in training.

    Attributes:
        name: the table name, or the name of the manifest.
        train: images to learn from; person ids as the dataset writes them.
        query: probes.
        gallery: what the probes are searched in.
        protocol: evaluation protocol by name (see `passerby.evaluation.closed_set.protocols`).
        notes: facts a report must repeat (retraction, split, "no cameras", ...).
        camera_names: what the data call cameras 0, 1, ...; empty where they are numbers there.

    Raises:
        DataError: a negative or zero person id in `train` or `query`, a training image that is also in the test, or a
            path that is no text in UTF-8, which no table of vectors can hold.
    """

    name: str
    train: tuple[Sample, ...] = ()
    query: tuple[Sample, ...] = ()
    gallery: tuple[Sample, ...] = ()
    protocol: str = "market1501"
    notes: tuple[str, ...] = field(default=())
    camera_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for part, samples in (("train", self.train), ("query", self.query)):
            for sample in samples:
                if sample.pid <= 0:
                    raise DataError(
                        f"{self.name}: {part} has the person id {sample.pid} at {sample.path}; "
                        "ids there are positive (-1 is junk and 0 a distractor, and both belong to the gallery)"
                    )

        unwritable = not_text(sample.path for sample in (*self.train, *self.query, *self.gallery))
        if unwritable:
            raise DataError(f"{self.name}: {unwritable}")
        learned = {sample.path for sample in self.train}
        for sample in (*self.query, *self.gallery):
            if sample.path in learned:
                raise DataError(f"{self.name}: {sample.path} is in training and in the test")

    def __repr__(self) -> str:
        parts = (("train", self.train), ("query", self.query), ("gallery", self.gallery))
        counts = ", ".join(
            f"{part}: {len(samples):,} images of {len({s.pid for s in samples if s.pid > 0}):,} persons"
            for part, samples in parts
        )
        return f"<ReIDDataset {self.name}, {counts}, protocol {self.protocol}>"

    @property
    def has_cameras(self) -> bool:
        """Whether every query and gallery image names its camera."""
        return all(sample.camid != UNKNOWN_CAMERA for sample in (*self.query, *self.gallery))

    def _cameras_matter(self) -> bool:
        return self.protocol != "no_cameras" and len({s.camid for s in self.train}) > 1

    def part(self, name: Literal["train", "query", "gallery"]) -> tuple[Sample, ...]:
        """The samples of one part by name."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}[name]

    def fingerprint(self) -> str:
        """A short hash of what the dataset lists: roles, file names, person and camera ids (not the pixels)."""
        digest = hashlib.sha256()
        for part, samples in (("train", self.train), ("query", self.query), ("gallery", self.gallery)):
            for s in samples:
                digest.update(f"{part}\0{os.path.basename(s.path)}\0{s.pid}\0{s.camid}\0{s.tracklet}\n".encode())
        return digest.hexdigest()[:16]

    def hold_out(self, identities: int, seed: int = 0) -> tuple[ReIDDataset, ReIDDataset]:
        """Set training identities aside as a validation set, so that no choice is made on the test set.

        Args:
            identities: how many of the training identities to hold out; 0 holds none out.
            seed: chooses which.

        Returns:
            (the dataset without them in `train`, a dataset whose query and gallery are made of them, see
            `query_and_gallery`).

        Raises:
            DataError: fewer than two identities would be left to train on.
        """
        pids = sorted({s.pid for s in self.train})
        if len(pids) < 2:
            what = "1 person" if pids else "nobody"
            raise DataError(f"{self.name}: {what} to learn from; a loss tells people apart, so two are the least")
        if identities > len(pids) - 2:
            fifth = held_out_by_default(len(pids))
            raise DataError(
                f"{self.name}: cannot hold out {identities} of {len(pids)} training identities: two must be left to "
                f"learn from, since a loss tells people apart, so {max(len(pids) - 2, 0)} is the most. "
                f'data.held_out_identities = {fifth} is what "auto" takes here'
            )
        order = sorted(pids, key=lambda pid: hashlib.sha256(f"{seed}:{pid}".encode()).digest())
        held = set(order[:identities])
        query, gallery = query_and_gallery([s for s in self.train if s.pid in held], cameras=self._cameras_matter())
        validation = ReIDDataset(f"{self.name}/held-out", (), query, gallery, self.protocol, self.notes)
        return replace(self, train=tuple(s for s in self.train if s.pid not in held)), validation


def held_out_by_default(identities: int) -> int:
    """How many of the training identities are held out: a fifth, 40 at most; none where a fifth is fewer than two."""
    fifth = min(40, identities // 5)
    return fifth if fifth >= 2 else 0


def query_and_gallery(
    samples: Sequence[Sample], *, cameras: bool = True
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Part a test set as Market-1501 does, so that every query has a match left in the gallery.

    A unit is an image, or a whole tracklet. The first unit of each person and camera that has another unit beside it
    becomes a query. A person with one unit under each of several cameras gives the first of them. A person seen by one
    known camera only, or once only, is gallery. The rest is gallery.

    Args:
        samples: images of the test persons.
        cameras: False treats all cameras as one unknown one.

    Returns:
        (query, gallery).
    """
    units: dict[int, dict[int, list[tuple[str, int]]]] = {}
    keys = [("image", i) if s.tracklet is None else ("tracklet", s.tracklet) for i, s in enumerate(samples)]
    for sample, key in zip(samples, keys, strict=True):
        camid = sample.camid if cameras else UNKNOWN_CAMERA
        group = units.setdefault(sample.pid, {}).setdefault(camid, [])
        if key not in group[-1:]:
            group.append(key)
    chosen = {key for pid, groups in units.items() if pid > 0 for key in _queries_of(groups)}
    return (
        tuple(s for s, key in zip(samples, keys, strict=True) if key in chosen),
        tuple(s for s, key in zip(samples, keys, strict=True) if key not in chosen),
    )


def _queries_of(cameras: dict[int, list[tuple[str, int]]]) -> list[tuple[str, int]]:
    if len(cameras) == 1 and UNKNOWN_CAMERA not in cameras:
        return []
    several = [group[0] for group in cameras.values() if len(group) > 1]
    if several or len(cameras) == 1:
        return several
    return [next(iter(cameras.values()))[0]]


def labels_of(samples: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Training labels 0..n-1 in ascending order of person id, and the person id of each label."""
    pids = sorted({s.pid for s in samples})
    label = {pid: i for i, pid in enumerate(pids)}
    return [label[s.pid] for s in samples], pids

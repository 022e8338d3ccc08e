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


@dataclass(frozen=True)
class ReIDDataset:
    """Training identities, and a query and a gallery of people never seen in training.

    Attributes:
        name: the table name, or the name of the manifest.
        train: images to learn from; person ids as the dataset writes them.
        query: probes.
        gallery: what the probes are searched in.
        protocol: evaluation protocol by name (see `passerby.evaluation.protocols`).
        notes: facts a report must repeat (retraction, split, "no cameras", ...).

    Raises:
        DataError: a negative or zero person id in `train` or `query`, or an image in both query and gallery roles
            of the training set.
    """

    name: str
    train: tuple[Sample, ...] = ()
    query: tuple[Sample, ...] = ()
    gallery: tuple[Sample, ...] = ()
    protocol: str = "market1501"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for part, samples in (("train", self.train), ("query", self.query)):
            for sample in samples:
                if sample.pid <= 0:
                    raise DataError(
                        f"{self.name}: {part} has the person id {sample.pid} at {sample.path}; "
                        "ids there are positive (-1 is junk and 0 a distractor, and both belong to the gallery)"
                    )

    @property
    def has_cameras(self) -> bool:
        """Whether every query and gallery image names its camera."""
        return all(sample.camid != UNKNOWN_CAMERA for sample in (*self.query, *self.gallery))

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
            (the dataset without them in `train`, a dataset whose query and gallery are made of them: for each
            identity and camera the first image is a query, the others are gallery).

        Raises:
            DataError: fewer than two identities would be left to train on.
        """
        pids = sorted({s.pid for s in self.train})
        if identities > len(pids) - 2:
            raise DataError(f"{self.name}: cannot hold out {identities} of {len(pids)} training identities")
        order = sorted(pids, key=lambda pid: hashlib.sha256(f"{seed}:{pid}".encode()).digest())
        held = set(order[:identities])
        query, gallery = _split_query_gallery([s for s in self.train if s.pid in held])
        validation = ReIDDataset(f"{self.name}/held-out", (), query, gallery, self.protocol, self.notes)
        return replace(self, train=tuple(s for s in self.train if s.pid not in held)), validation


def _split_query_gallery(samples: Iterable[Sample]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    seen: set[tuple[int, int]] = set()
    query: list[Sample] = []
    gallery: list[Sample] = []
    for sample in samples:
        key = (sample.pid, sample.camid)
        (gallery if key in seen else query).append(sample)
        seen.add(key)
    return tuple(query), tuple(gallery)


def labels_of(samples: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Training labels 0..n-1 in ascending order of person id, and the person id of each label."""
    pids = sorted({s.pid for s in samples})
    label = {pid: i for i, pid in enumerate(pids)}
    return [label[s.pid] for s in samples], pids

"""Drawn pedestrians under several cameras: a small re-ID benchmark that anyone may copy, made from a seed.

Each identity has a build, skin, hair, clothes with colours and patterns, shoes and perhaps a bag; many share one of
these. Each camera has its own background, light, colour cast, sharpness and way of cropping badly; each image its
own pose and side. Colours alone therefore mislead across cameras, and a network has to learn what stays.

The files look like Market-1501's: `bounding_box_train`, `query`, `bounding_box_test`, names such as
`0002_c1s1_000451_03.jpg`, with distractors (person id 0000) and junk (-1) in the gallery.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from passerby.data.synthetic.camera import HEIGHT, WIDTH, Camera
from passerby.data.synthetic.pedestrian import draw_clutter, draw_person
from passerby.data.synthetic.person import COMMON_OUTFITS, Person
from passerby.errors import DataError, StorageError
from passerby.progress import progress_bar

MARKER = "synthetic.json"
_FORMAT = 1  # raise it when the drawings change, so that an old folder is not taken for a new one


@dataclass(frozen=True)
class SyntheticSettings:
    """What is drawn.

    Attributes:
        identities: people in all.
        train_identities: of these, the ones in the training set.
        cameras: cameras; each person passes all of them.
        images_per_camera: images of a person in a camera; one of them becomes a query for people of the test set.
        distractors: gallery images of nobody in particular (person id 0), and half as many of junk (-1).
        seed: of everything.
        common_outfits: nearly half of the people wear one of so many; the fewer, the more people look alike.
    """

    identities: int = 150
    train_identities: int = 100
    cameras: int = 4
    images_per_camera: int = 4
    distractors: int = 40
    seed: int = 0
    common_outfits: int = COMMON_OUTFITS

    def __post_init__(self) -> None:
        if not 2 <= self.train_identities <= self.identities - 2:
            raise DataError(
                f"{self.train_identities} of {self.identities} drawn identities for training: "
                "at least 2 must be left for training and 2 for the test"
            )
        if self.cameras < 2 or self.images_per_camera < 2 or self.distractors < 0 or self.seed < 0:
            raise DataError(
                f"cannot draw {self.images_per_camera} images under each of {self.cameras} cameras "
                f"with {self.distractors} distractors and seed {self.seed}: "
                "at least 2 cameras, 2 images in each, and nothing negative"
            )
        if self.common_outfits < 1:
            raise DataError(f"common_outfits: expected 1 or more, found {self.common_outfits}")


@dataclass(frozen=True)
class _Picture:
    folder: str
    pid: int
    camera: int
    number: int  # of this person in this camera
    box: int

    @property
    def name(self) -> str:
        person = "-1" if self.pid < 0 else f"{self.pid:04d}"
        frame = 25 * (max(self.pid, 0) * 40 + self.number) + 7 * self.camera
        return f"{self.folder}/{person}_c{self.camera + 1}s1_{frame:06d}_{self.box:02d}.jpg"


def draw_dataset(
    root: str | os.PathLike[str],
    *,
    identities: int = 150,
    train_identities: int = 100,
    cameras: int = 4,
    images_per_camera: int = 4,
    distractors: int = 40,
    seed: int = 0,
    common_outfits: int = COMMON_OUTFITS,
    progress: bool = True,
) -> Path:
    """Draw a dataset into a folder, or do nothing if it is already there; an interrupted drawing goes on.

    Args:
        root: the folder; made if missing, otherwise empty or holding this very dataset.
        identities: people in all.
        train_identities: of these, the ones in the training set.
        cameras: each person passes all of them.
        images_per_camera: of each person.
        distractors: gallery images with person id 0, and half as many junk images with -1.
        seed: the same seed draws the same pixels.
        common_outfits: nearly half of the people wear one of so many; the fewer, the more people look alike.
        progress: show a progress bar.

    Returns:
        The folder, which holds bounding_box_train, query and bounding_box_test.

    Raises:
        DataError: numbers that make no dataset, or a folder that holds something else.
        StorageError: the folder cannot be written.
    """
    settings = SyntheticSettings(
        identities, train_identities, cameras, images_per_camera, distractors, seed, common_outfits
    )
    folder = Path(root)
    marker = folder / MARKER
    wanted = {"format": _FORMAT, **asdict(settings)}
    if _is_complete(folder, marker, wanted):
        return folder
    try:
        for name in ("bounding_box_train", "query", "bounding_box_test"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({**wanted, "complete": False}), "utf-8")
        _draw_missing(folder, settings, progress)
        marker.write_text(json.dumps({**wanted, "complete": True}), "utf-8")
    except OSError as error:
        raise StorageError(f"{folder}: cannot write the drawn dataset ({error.strerror})") from error
    return folder


def _is_complete(folder: Path, marker: Path, wanted: dict[str, int]) -> bool:
    if not marker.exists():
        if folder.exists() and any(folder.iterdir()):
            raise DataError(f"{folder} holds something else than a drawn dataset: choose an empty or a new folder")
        return False
    try:
        found = json.loads(marker.read_text("utf-8"))
        complete = found.pop("complete")
        found.setdefault("common_outfits", COMMON_OUTFITS)  # folders of version 0.1 do not say
    except (ValueError, KeyError, AttributeError):
        raise DataError(f"{marker} is damaged: remove the folder, it will be drawn again") from None
    if found != wanted:
        raise DataError(f"{folder} holds a dataset drawn with other settings, {found}: choose another folder")
    return bool(complete)


def _draw_missing(folder: Path, settings: SyntheticSettings, progress: bool) -> None:
    cameras = [Camera.of(settings.seed, c) for c in range(settings.cameras)]
    person = Person.of(settings.seed, 1, settings.common_outfits)
    drawn = 1
    pictures = list(_pictures(settings))
    with progress_bar("drawing pedestrians", len(pictures)) as bar:
        for picture in pictures:
            target = folder / picture.name
            if not target.exists():
                rng = np.random.default_rng((settings.seed, 2, picture.pid + 1, picture.camera, picture.number))
                camera = cameras[picture.camera]
                if picture.pid > 0:
                    if picture.pid != drawn:
                        person, drawn = Person.of(settings.seed, picture.pid, settings.common_outfits), picture.pid
                    pixels = draw_person(person, camera, rng)
                else:
                    pixels = draw_clutter(camera, rng, junk=picture.pid < 0)
                quality = int(rng.integers(70, 93))
                part = target.with_suffix(".part")
                part.write_bytes(simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB"))
                os.replace(part, target)  # a file is there whole or not at all
            if progress:
                bar.advance()


def _pictures(settings: SyntheticSettings) -> Iterator[_Picture]:
    for pid in range(1, settings.identities + 1):
        train = pid <= settings.train_identities
        for camera in range(settings.cameras):
            for number in range(settings.images_per_camera):
                query = not train and number == 0
                folder = "bounding_box_train" if train else "query" if query else "bounding_box_test"
                yield _Picture(folder, pid, camera, number, 0 if query else 1)
    for pid, count in ((0, settings.distractors), (-1, settings.distractors // 2)):
        for number in range(count):
            yield _Picture("bounding_box_test", pid, number % settings.cameras, number // settings.cameras, 2 + pid)


__all__ = ["HEIGHT", "MARKER", "WIDTH", "SyntheticSettings", "draw_dataset"]

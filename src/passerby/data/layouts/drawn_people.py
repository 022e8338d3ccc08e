"""Who is drawn, and how a picture gets into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from passerby.array_types import UInt8

Draw: TypeAlias = Callable[[int, int, int], UInt8]


@dataclass(frozen=True)
class DrawnPeople:
    """The people of a drawn dataset.

    Attributes:
        persons: how many there are; they are numbered from 1.
        images: images of each person and camera.
        draw: `draw(person, camera, image) -> RGB uint8 [H, W, 3]`; cameras and images count from 0.
    """

    persons: int
    images: int
    draw: Draw

    def everyone(self) -> range:
        """The persons' numbers."""
        return range(1, self.persons + 1)

    def extra_person(self, number: int) -> int:
        """A person besides those drawn, who has no match."""
        return self.persons + 1 + number

    def views(self, cameras: int) -> Iterator[tuple[int, int, int]]:
        """(person, camera, image) of everyone under so many cameras."""
        for person in self.everyone():
            for camera in range(cameras):
                for image in range(self.images):
                    yield person, camera, image

    def save(self, path: Path, person: int, camera: int, image: int) -> None:
        """Draw into a file, whose extension says in which format."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # only JPEG knows a quality; the other formats ignore it
        Image.fromarray(np.ascontiguousarray(self.draw(person, camera, image))).save(path, quality=95)

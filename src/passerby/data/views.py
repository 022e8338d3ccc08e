"""Views: random changes of an image that are the same whenever it is drawn, so that a teacher can see them too."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from passerby.array_types import UInt8
from passerby.config import AugmentConfig, InputConfig
from passerby.data.augment import Augmenter, Draw
from passerby.images.decode import read_image, resize_image

_SEED = 77


@dataclass(frozen=True)
class Views:
    """Some views of each image, drawn at one size and scaled to others.

    Consistent teaching: Beyer et al. 2022, Knowledge distillation: a good teacher is patient and consistent,
    arXiv:2106.05237.

    Attributes:
        count: how many views an image has.
        augment: what is changed, and how often.
        input: the size at which the changes are drawn; mean: the colour of what is erased; bits of grey values.
    """

    count: int
    augment: AugmentConfig
    input: InputConfig

    def draw(self, paths: Sequence[str | PurePath], view: int, size: InputConfig) -> Draw:
        """The changes of one view of images [n], for a network's input of `size`.

        They depend on an image's folder and name, the number of the view and `augment`: a dataset may have moved since.
        """
        reference, target = Augmenter(self.augment, self.input), Augmenter(self.augment, size)
        drawn = [reference.draw(1, (_SEED, zlib.crc32("/".join(key_of(p)).encode()), view)) for p in paths]
        place, box, color = (
            np.concatenate([getattr(draw, name) for draw in drawn]) for name in ("place", "box", "color")
        )
        y, x = size.height / self.input.height, size.width / self.input.width
        place[:, 1:] = np.floor(place[:, 1:] * np.array([y, x]))
        spare = np.array(target.source) - (size.height, size.width)
        place[:, 1:] = np.minimum(place[:, 1:], 2 * target.pad + spare)
        return Draw(place, np.rint(box * np.array([y, y, x, x])).astype(np.int64), color)

    def pictures(self, paths: Sequence[Path], view: int) -> UInt8:
        """What one view of images shows, uint8 [n, height, width, 3].

        Raises:
            ImageError: an image cannot be read.
        """
        augmenter = Augmenter(self.augment, self.input)
        source = np.stack([resize_image(read_image(p, bits=self.input.bits), *augmenter.source) for p in paths])
        out = np.empty((len(paths), self.input.height, self.input.width, 3), np.float32)
        augmenter.write(source, np.arange(len(paths)), self.draw(paths, view, self.input), out)
        mean, std = np.asarray(self.input.mean, np.float32), np.asarray(self.input.std, np.float32)
        values = (out * std + mean) * np.float32(255.0)
        pictures: UInt8 = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
        return pictures


def key_of(path: str | PurePath) -> tuple[str, ...]:
    """What an image is known by wherever its dataset lies: its folder's name, and its own."""
    return PurePath(path).parts[-2:]

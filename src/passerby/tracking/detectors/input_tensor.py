"""A picture as a detector's input: resized, laid into the input, channels and scale as the model was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from passerby.array_types import Float32, Float64, UInt8
from passerby.images.resize import resize_into

Fit: TypeAlias = Literal["stretch", "corner", "center"]
_PAD = 114  # the grey with which the YOLO family fills what the picture leaves of the input


@dataclass(frozen=True)
class InputFormat:
    """How a model wants its pictures.

    Attributes:
        height: of the input, pixels.
        width: of the input, pixels.
        fit: "stretch" ignores the picture's proportions; "corner" and "center" keep them and fill the rest.
        colors: order of the channels.
        scale: pixels are divided by this.
        mean: subtracted afterwards, in the order of the channels.
        std: divided by afterwards.
    """

    height: int
    width: int
    fit: Fit
    colors: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the input.

    Attributes:
        scale: (horizontal, vertical), input pixels for each of the picture's.
        offset: (left, top), input pixels.
    """

    scale: tuple[float, float]
    offset: tuple[int, int]

    def to_picture(self, boxes: Float64) -> Float64:
        """Boxes [n, 4] (left, top, right, bottom) in input pixels -> in pixels of the picture."""
        return np.asarray((boxes - np.array(self.offset * 2)) / np.array(self.scale * 2), np.float64)


def to_input(image: UInt8, wanted: InputFormat) -> tuple[Float32, Placement]:
    """RGB uint8 [H, W, 3] -> float32 [1, 3, height, width], and where the picture lies in it."""
    if wanted.fit == "stretch":
        scale = (wanted.width / image.shape[1], wanted.height / image.shape[0])
        return _tensor(_resized(image, wanted.height, wanted.width), wanted), Placement(scale, (0, 0))
    ratio = min(wanted.height / image.shape[0], wanted.width / image.shape[1])
    height, width = max(1, int(image.shape[0] * ratio)), max(1, int(image.shape[1] * ratio))
    left, top = ((wanted.width - width) // 2, (wanted.height - height) // 2) if wanted.fit == "center" else (0, 0)
    canvas = np.full((wanted.height, wanted.width, 3), _PAD, np.uint8)
    canvas[top : top + height, left : left + width] = _resized(image, height, width)
    return _tensor(canvas, wanted), Placement((ratio, ratio), (left, top))


def _resized(image: UInt8, height: int, width: int) -> UInt8:
    resized = np.empty((height, width, 3), np.uint8)
    resize_into(image, resized)
    return resized


def _tensor(image: UInt8, wanted: InputFormat) -> Float32:
    channels = image[:, :, ::-1] if wanted.colors == "BGR" else image
    pixels = np.ascontiguousarray(channels.transpose(2, 0, 1)[None], np.float32)
    if wanted.scale != 1:
        pixels /= np.float32(wanted.scale)
    if any(wanted.mean) or wanted.std != (1, 1, 1):
        pixels -= np.array(wanted.mean, np.float32).reshape(1, 3, 1, 1)
        pixels /= np.array(wanted.std, np.float32).reshape(1, 3, 1, 1)
    return pixels

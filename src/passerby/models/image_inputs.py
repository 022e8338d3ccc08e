"""The kinds of images that an encoder takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from passerby.array_types import Float64, UInt8
from passerby.errors import ImageError
from passerby.images.decode import GREY_BITS, pixels_of_image, read_image

ImagePath: TypeAlias = str | os.PathLike[str]
Images: TypeAlias = ImagePath | UInt8 | Image.Image | Tensor | Sequence[ImagePath | UInt8 | Image.Image]


def as_list(images: Images) -> Any:
    """One image or many as a sequence of images; a tensor or array of many stays as it is.

    Raises:
        ImageError: an array or tensor of other than 3 or 4 dimensions.
    """
    if isinstance(images, (str, os.PathLike, Image.Image)):
        return [images]
    if isinstance(images, (Tensor, np.ndarray)):
        if images.ndim == 3:
            return [images]
        if images.ndim != 4:
            raise ImageError(f"images: expected 3 or 4 dimensions, found the shape {tuple(images.shape)}")
        return images
    return list(images)


def pixels_of(item: Any, *, bits: int = GREY_BITS) -> UInt8:
    """One image of any accepted kind as RGB uint8 [H, W, 3]; `bits` as of `read_image`.

    Raises:
        ImageError: it cannot be read, or is of another kind.
    """
    if isinstance(item, (str, os.PathLike)):
        return read_image(item, bits=bits)
    if isinstance(item, Image.Image):
        return pixels_of_image(item, bits=bits)
    array = item.permute(1, 2, 0).cpu().numpy() if isinstance(item, Tensor) and item.ndim == 3 else item
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        found = f"{array.dtype} {tuple(array.shape)}" if hasattr(array, "dtype") else type(array).__name__
        raise ImageError(
            f"image: expected a path, a PIL image, RGB uint8 [H, W, 3] or a uint8 tensor [3, H, W], found {found}"
        )
    if 0 in array.shape:
        raise ImageError(f"image: {array.shape[1]} x {array.shape[0]} pixels is no picture")
    return np.ascontiguousarray(array)


def crop_box(picture: UInt8, box: Float64, row: int) -> UInt8:
    """The part of a picture [H, W, 3] inside a box (left, top, right, bottom in pixels), number `row` in messages.

    Raises:
        ImageError: no pixel of it lies in the picture, or it is not finite.
    """
    height, width = picture.shape[:2]
    if np.isfinite(box).all():
        left, top, right, bottom = (round(float(side)) for side in box)
        part = picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if right > 0 and bottom > 0 and part.size:
            return part
    raise ImageError(f"box {row}, {box.tolist()}: no pixel of it lies in the picture of {width} x {height} pixels")

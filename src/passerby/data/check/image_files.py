"""Look at every image file: does it decode, how large is it, and which others look the same?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from passerby.array_types import UInt8
from passerby.errors import ImageError
from passerby.images.decode import GREY_BITS, decode_image, image_bytes
from passerby.images.deep_values import unstated_range
from passerby.progress import progress_bar

_CHUNK = 256
_FLAT = 16
"""Fewer levels than this in each colour between the darkest and the brightest value, the outermost left aside: a black
or one-coloured picture. Pictures of 10 or 12 bits in 16 come out so. Of 36,036 pictures of Market-1501 none has fewer
than 23."""
_OUTERMOST = 0.05
"""Share of the values left aside on each side: hot pixels, or a clock burnt into a black picture."""
_HASH_ROWS, _HASH_COLUMNS = 16, 8  # persons are about twice as high as wide


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one image file is.

    Attributes:
        width: pixels, 0 if it cannot be read.
        height: pixels, 0 if it cannot be read.
        digest: hash of the decoded pixels; equal for exact duplicates.
        looks: difference hash of the picture; equal for pictures that look the same.
        problem: why it cannot be read, or empty.
        flat: black or of one colour, or nearly so.
        deep: least and greatest value in a file of 16 bits a value that does not state its range; None of others.
    """

    width: int
    height: int
    digest: bytes
    looks: bytes
    problem: str = ""
    flat: bool = False
    deep: tuple[int, int] | None = None


def difference_hash(image: UInt8) -> bytes:
    """Perceptual hash of an RGB image [H, W, 3]: 128 bits, equal for copies that were resized or saved again.

    The picture is shrunk to 16 x 9 grey values; each bit says whether a value is smaller than its right neighbour.
    """
    grey = Image.fromarray(image).convert("L").resize((_HASH_COLUMNS + 1, _HASH_ROWS), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.int16)
    return np.packbits(values[:, 1:] > values[:, :-1]).tobytes()


def inspect_image(path: Path, *, bits: int = GREY_BITS) -> ImageFacts:
    """Decode one file and describe it; a file that cannot be read is described, not raised."""
    try:
        data = image_bytes(path)
        image = decode_image(data, name=str(path), bits=bits)
    except ImageError as error:
        return ImageFacts(0, 0, b"", b"", str(error))
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, key=str(image.shape).encode()).digest()
    height, width, _ = image.shape
    return ImageFacts(width, height, digest, difference_hash(image), flat=is_flat(image), deep=unstated_range(data))


def is_flat(image: UInt8) -> bool:
    """Whether an RGB picture [H, W, 3] is black or of one colour, or nearly so."""
    pixels = image.shape[0] * image.shape[1]
    outermost = int(_OUTERMOST * pixels)
    up_to = np.array(Image.fromarray(image).histogram()).reshape(3, 256).cumsum(axis=1)  # pixels of each level or less
    darkest, brightest = (up_to <= outermost).sum(axis=1), (up_to < pixels - outermost).sum(axis=1)
    return bool((brightest - darkest < _FLAT).all())


def inspect_images(paths: Sequence[Path], *, progress: bool = True, bits: int = GREY_BITS) -> dict[Path, ImageFacts]:
    """`inspect_image` for many files, on all cores.

    Args:
        paths: image files.
        progress: show a progress bar.
        bits: as of `read_image`.
    """
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    facts: dict[Path, ImageFacts] = {}
    bar = progress_bar("looking at images", len(paths)) if progress else nullcontext()
    look = partial(inspect_image, bits=bits)
    with bar as shown, ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk, found in zip(chunks, pool.map(lambda c: list(map(look, c)), chunks), strict=True):
            facts.update(zip(chunk, found, strict=True))
            if shown is not None:
                shown.advance(len(chunk))
    return facts

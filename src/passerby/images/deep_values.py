"""Pictures of more than 8 bits a value: all the bits that their files hold, and the range that the files state.

Pillow decodes grey ones whole, and of colours, and of grey with alpha, the higher byte alone. The lower one is had by
telling its decoder that the bytes of a value stand the other way round.
"""

from __future__ import annotations

import io
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from passerby.errors import ImageError

Values: TypeAlias = npt.NDArray[np.integer[Any]]
DEEP_FORMATS = ("PNG", "TIFF", "PPM")
"""Formats whose files may hold more than 8 bits a value that Pillow gives access to."""
FULL = 16
_MAGIC = (b"\x89PNG", b"II", b"MM", b"P")
"""First bytes of such files; to ask Pillow takes a third of the time of decoding a person's crop."""
_MAXVAL = 65_535
_BITS_PER_SAMPLE, _PLANAR = 258, 284  # tags of TIFF
_SEPARATE = 2
_NATIVE, _SWAPPED = ("L", "B") if sys.byteorder == "little" else ("B", "L")
_OTHER_BYTE = {"L": "B", "B": "L", "N": _SWAPPED}
_COLORS = ("RGB", "RGBA", "RGBX")
_GREY_AND_ALPHA = "LA;16B"


@dataclass(frozen=True)
class DeepPicture:
    """The values of a picture of more than 8 bits.

    Attributes:
        values: [H, W], or [H, W, 3] of colours, upright where EXIF data say how the picture was held.
        stated: bits of the range by what the file says; None where it says nothing beyond its 16 bits a value.
    """

    values: Values
    stated: int | None = None


def open_image(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    """A picture that Pillow opens, of one of the formats alone: it would guess among all, and start other programs."""
    return Image.open(io.BytesIO(data), formats=formats)


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that Pillow has opened, and not yet decoded if it has colours, has more than 8 bits a value."""
    if image.mode.startswith("I"):
        return True
    if image.format == "PPM":
        return _maxval(image) == _MAXVAL  # smaller ones are stated, and scaled by Pillow
    return ";16" in _raw_mode(image) or _has_separate_planes(image)


def read_deep(image: Image.Image, data: bytes | None, *, name: str) -> DeepPicture | None:
    """All bits of a picture of which `is_deep` holds; None where the highest eight are all that can be had.

    Args:
        image: opened by Pillow.
        data: the file it was opened from; None where it is not known.
        name: what error messages call it.

    Raises:
        ImageError: Pillow would take the bytes of its values for pixels.
    """
    if image.mode.startswith("I"):
        stated = _stated_by_header(image)
        values = _array(image)
        return DeepPicture(values, stated or _stated_by_png(values, data or b""))
    raw = _raw_mode(image)
    separate = _has_separate_planes(image)
    if separate and ";16" not in raw:
        raise ImageError(f"{name}: 16 bits a value in planes of one colour each; save the colours of a pixel together")
    if data is None or separate:
        return None
    if image.format == "PPM":
        return DeepPicture(_colors_of_ppm(image, data))
    if raw == _GREY_AND_ALPHA:  # its four bytes, read as four colours of one
        grey = _array(_reopened(data, lambda _: "RGBA"))
        values = (grey[..., 0] << 8) | grey[..., 1]
        return DeepPicture(values, _stated_by_png(values, data))
    kind, _, order = raw.partition(";16")
    if kind not in _COLORS or order not in _OTHER_BYTE:
        return None
    high = _array(_reopened(data, lambda mode: mode))[..., :3]
    low = _array(_reopened(data, lambda mode: mode[:-1] + _OTHER_BYTE[mode[-1]]))[..., :3]
    values = (high << 8) | low
    return DeepPicture(values, _stated_by_png(values, data))


def unstated_range(data: bytes) -> tuple[int, int] | None:
    """Least and greatest value of a sound picture of 16 bits that does not state its range; None of every other."""
    if not data.startswith(_MAGIC):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about damaged metadata
            with open_image(data, DEEP_FORMATS) as image:
                if not is_deep(image):
                    return None
                deep = read_deep(image, data, name="image")
    except OSError:  # another format
        return None
    return None if deep is None or deep.stated else (int(deep.values.min()), int(deep.values.max()))


def bytes_behind(image: Image.Image) -> bytes | None:
    """The file of a picture that Pillow has opened and not yet decoded; None of every other."""
    file: Any = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None) or image.tell():
        return None
    place = file.tell()
    file.seek(0)
    data: bytes = file.read()
    file.seek(place)
    return data


def _array(image: Image.Image) -> Values:
    upright = np.asarray(ImageOps.exif_transpose(image))
    return upright.astype(np.int32) if image.mode.startswith("I") else upright.astype(np.uint16)


def _reopened(data: bytes, mode: Callable[[str], str]) -> Image.Image:
    """The picture, to be decoded as if its bytes stood in the file as `mode` makes of how they do."""
    image = open_image(data, DEEP_FORMATS)
    tiles: Any = image
    tiles.tile = [
        tile._replace(args=(mode(tile.args[0]), *tile.args[1:]) if isinstance(tile.args, tuple) else mode(tile.args))
        for tile in tiles.tile
    ]
    return image


def _colors_of_ppm(image: Any, data: bytes) -> Values:
    """Read as a grey picture of three times the width, of which Pillow keeps all bits."""
    grey = b"P2" if image.tile[0].codec_name == "ppm_plain" else b"P5"
    head = b"%s %d %d %d\n" % (grey, 3 * image.width, image.height, _MAXVAL)
    wide = open_image(head + data[image.tile[0].offset :], ("PPM",))
    return np.asarray(wide).astype(np.uint16).reshape(image.height, image.width, 3)


def _raw_mode(image: Any) -> str:
    """How the values stand in the file, as Pillow calls it; empty where it has been decoded."""
    tiles = getattr(image, "tile", None)
    if image.format not in ("PNG", "TIFF") or not tiles:
        return ""
    args = tiles[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def _maxval(image: Any) -> int:
    """The greatest value of a PNM file by its header; 0 where the picture has been decoded, or it is 255."""
    if not image.tile:
        return 0
    args = image.tile[0].args
    if isinstance(args, tuple):
        return int(args[-1])
    return _MAXVAL if args == "I;16B" else 0


def _has_separate_planes(image: Any) -> bool:
    """Whether a TIFF file holds each colour in 16 bits on its own."""
    if image.format != "TIFF" or image.mode.startswith(("I", "F")):
        return False
    return image.tag_v2.get(_PLANAR) == _SEPARATE and FULL in image.tag_v2.get(_BITS_PER_SAMPLE, ())


def _stated_by_header(image: Any) -> int | None:
    """Bits of a grey picture by its header; Pillow scales the values of PNM files to 16."""
    if image.format == "PPM":
        return FULL if 0 < _maxval(image) < _MAXVAL else None
    samples: tuple[int, ...] = image.tag_v2.get(_BITS_PER_SAMPLE, ()) if image.format == "TIFF" else ()
    return samples[0] if len(samples) == 1 and samples[0] < FULL else None


def _stated_by_png(values: Values, data: bytes) -> int | None:
    """Bits of a PNG picture by its chunk sBIT.

    By PNG's rule values fill all 16 bits, of which so many are significant. Files of cameras break it and hold values
    as they are, which shows where they fit in so few bits and use the lowest.
    """
    bits = _significant_bits(data)
    if bits is None or bits >= FULL:
        return None
    bits = max(bits, 8)
    as_they_are = values.max() < 1 << bits and bool((values & ((1 << (FULL - bits)) - 1)).any())
    return bits if as_they_are else FULL


def _significant_bits(data: bytes) -> int | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    colors = 3 if data[25:26] in (b"\x02", b"\x06") else 1
    place = 8
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"sBIT":
            return max(data[place + 8 : place + 8 + min(size, colors)], default=None)
        if kind == b"IDAT":
            return None
        place += 12 + size
    return None

"""Uploaded images: format and size are read from their first bytes, and bounded, before anything is decoded."""

from __future__ import annotations

import struct

import simplejpeg

from passerby.array_types import UInt8
from passerby.errors import ImageError
from passerby.images.decode import GREY_BITS, decode_image
from passerby.service.errors import ServiceError

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_SCANS = 64
"""Scans of a JPEG. A progressive one has some ten; each further scan of a hostile one costs a pass over all pixels."""
_USUAL_SCANS = 10


def pixels_to_decode(data: bytes, position: int, *, max_pixels: int) -> int:
    """What an uploaded image costs: its pixels, times the tens of scans of a JPEG; read from its header.

    Raises:
        ServiceError: as `open_image`, but for what only decoding finds.
    """
    name = f"image {position}"
    width, height = _declared_size(data, name)
    if width * height > max_pixels:
        raise ServiceError(413, f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}")
    scans = data.count(b"\xff\xda") if data.startswith(b"\xff\xd8") else 1
    return width * height * max(1, -(-scans // _USUAL_SCANS))


def open_image(data: bytes, position: int, *, max_pixels: int, bits: int = GREY_BITS) -> UInt8:
    """Decode one uploaded JPEG, PNG or WebP to RGB uint8 [H, W, 3]; messages name it by `position` (from 0).

    `bits` as of `passerby.images.decode.read_image`.

    Raises:
        ServiceError: 415 another format, or animated; 413 more than `max_pixels`; 422 damaged.
    """
    name = f"image {position}"
    pixels_to_decode(data, position, max_pixels=max_pixels)
    try:
        return decode_image(data, name=name, max_pixels=max_pixels, bits=bits)
    except ImageError as error:
        raise ServiceError(422, str(error)) from error
    except MemoryError as error:  # Pillow raises it for some crafted files
        raise ServiceError(422, f"{name}: damaged ({type(error).__name__})") from error


def _declared_size(data: bytes, name: str) -> tuple[int, int]:
    if not data:
        raise ServiceError(422, f"{name}: the file is empty (0 bytes)")
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg_size(data, name)
        if data.startswith(_PNG):
            return _png_size(data, name)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data, name)
    except (ValueError, struct.error, IndexError):
        raise ServiceError(422, f"{name}: damaged: its header cannot be read") from None
    raise ServiceError(415, f"{name}: expected a JPEG, PNG or WebP picture, found something else")


def _jpeg_size(data: bytes, name: str) -> tuple[int, int]:
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise ServiceError(422, f"{name}: a JPEG of more than {_MAX_SCANS} scans is not decoded")
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return width, height


def _png_size(data: bytes, name: str) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    # an animation announces itself before the first image data
    if b"acTL" in data[: max(data.find(b"IDAT"), 0)]:
        raise ServiceError(415, f"{name}: an animated PNG; send its frames as the images of a tracklet")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _webp_size(data: bytes, name: str) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise ServiceError(415, f"{name}: an animated WebP; send its frames as the images of a tracklet")
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no image chunk")

"""Pictures that came over the network: what they are is read from their first bytes, before anything is decoded."""

from __future__ import annotations

import struct

import simplejpeg

from passerby.errors import ImageError
from passerby.gallery.service.refusal import Refusal
from passerby.pixels import UInt8Array, decode_image

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_SCANS = 64
"""Scans of a JPEG. A progressive one has some ten; each further scan of a hostile one costs a pass over all pixels."""


def open_picture(data: bytes, position: int, *, max_pixels: int) -> UInt8Array:
    """Decode one uploaded JPEG, PNG or WebP to RGB uint8 [H, W, 3]; `position` (from 0) is how messages call it.

    Raises:
        Refusal: 415 another format, or animated; 413 more than `max_pixels`; 422 damaged.
    """
    name = f"image {position}"
    width, height = _declared_size(data, name)
    if width * height > max_pixels:
        raise Refusal(413, f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}")
    try:
        return decode_image(data, name=name, max_pixels=max_pixels)
    except ImageError as error:
        raise Refusal(422, str(error)) from error
    except MemoryError as error:  # Pillow's answer to some files made to break it
        raise Refusal(422, f"{name}: damaged ({type(error).__name__})") from error


def _declared_size(data: bytes, name: str) -> tuple[int, int]:
    if not data:
        raise Refusal(422, f"{name}: the file is empty (0 bytes)")
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg_size(data, name)
        if data.startswith(_PNG):
            return _png_size(data, name)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data, name)
    except (ValueError, struct.error, IndexError):
        raise Refusal(422, f"{name}: damaged: its header cannot be read") from None
    raise Refusal(415, f"{name}: expected a JPEG, PNG or WebP picture, found something else")


def _jpeg_size(data: bytes, name: str) -> tuple[int, int]:
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise Refusal(422, f"{name}: a JPEG of more than {_MAX_SCANS} scans is not decoded")
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return width, height


def _png_size(data: bytes, name: str) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    # an animation announces itself before the first image data
    if b"acTL" in data[: max(data.find(b"IDAT"), 0)]:
        raise Refusal(415, f"{name}: an animated PNG; send its frames as the images of a tracklet")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _webp_size(data: bytes, name: str) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise Refusal(415, f"{name}: an animated WebP; send its frames as the images of a tracklet")
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no image chunk")

"""Unit vectors and thumbnails from files, bytes, arrays, tensors and vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import simplejpeg
from PIL import Image

from passerby.array_types import Float32, UInt8
from passerby.errors import GalleryRequestError, ImageError
from passerby.images.decode import GREY_BITS, decode_image, pixels_of_image, read_image, resize_image

THUMBNAIL_BYTES = 4000
"""Every stored thumbnail fits this many bytes, so that slots can be reused (see stores/sqlite/slots.py)."""
_THUMBNAIL_HEIGHT, _THUMBNAIL_WIDTH = 128, 96
_THUMBNAIL_PIXELS = 1_000_000
_ENCODE_CHUNK = 256


class VectorEncoder(Protocol):
    """What a gallery needs of an encoder; `passerby.Encoder` is one."""

    @property
    def dim(self) -> int:
        """Numbers in a vector."""

    @property
    def fingerprint(self) -> str:
        """Identifies this encoder (weights and preprocessing)."""

    @property
    def threshold(self) -> float | None:
        """The calibrated distance below which two vectors show the same person, if there is one."""

    def encode(self, images: Any, /) -> Any:
        """Vectors [n, D] of a list of RGB uint8 arrays [H, W, 3]."""


def looks_like_vectors(probe: Any) -> bool:
    """Whether `probe` holds numbers of a vector (floats) rather than pictures."""
    if isinstance(probe, (str, bytes, bytearray, memoryview, os.PathLike)):
        return False
    if hasattr(probe, "is_floating_point"):  # a torch tensor, recognised without importing torch
        return bool(probe.is_floating_point())
    if isinstance(probe, np.ndarray):
        return bool(np.issubdtype(probe.dtype, np.floating))
    if isinstance(probe, (float, np.floating)):
        return True
    return isinstance(probe, Sequence) and len(probe) > 0 and looks_like_vectors(probe[0])


def unit_vectors(vectors: Any, dim: int | None) -> Float32:
    """Float32 [n, D] with rows of unit length, from one vector [D] or several [n, D].

    Raises:
        GalleryError: not numbers, another dimension than `dim`, NaN, Inf, or a vector of length zero.
    """
    array = _to_numpy(vectors)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise GalleryRequestError(
            f"vectors: expected one vector [D] or several [n, D], found shape {list(array.shape)}"
        )
    if dim is not None and array.shape[1] != dim:
        raise GalleryRequestError(f"vectors: this gallery holds vectors of {dim} numbers, found {array.shape[1]}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    bad = np.flatnonzero(~np.isfinite(norms) | (norms < 1e-12))
    if len(bad):
        raise GalleryRequestError(f"vectors: row {bad[0]} has NaN or Inf, or length zero; a unit vector was expected")
    if np.abs(norms - 1).max() < 1e-6:
        return np.asarray(array, np.float32)  # unit vectors stay as they are, to the last bit
    return np.asarray(array / norms[:, None], np.float32)


def _to_numpy(vectors: Any) -> Any:
    if hasattr(vectors, "detach"):
        vectors = vectors.detach().cpu().numpy()
    elif isinstance(vectors, Sequence) and vectors and hasattr(vectors[0], "detach"):
        vectors = [v.detach().cpu().numpy() for v in vectors]
    try:
        return np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise GalleryRequestError(f"vectors: expected numbers [n, D] ({error})") from None


def grey_bits(encoder: VectorEncoder | None) -> int:
    """Bits of grey values in files of 16, as the encoder reads them; a caller's own encoder may say nothing of it."""
    return int(getattr(getattr(encoder, "preprocessing", None), "bits", GREY_BITS))


def read_pictures(images: Any, *, bits: int = GREY_BITS) -> list[UInt8]:
    """RGB uint8 [H, W, 3] arrays from one image or several: paths, encoded bytes, PIL images, arrays, a uint8 tensor.

    `bits` as of `passerby.images.decode.read_image`.

    Raises:
        ImageError: an image cannot be read.
        GalleryError: something that is not an image, or no image at all.
    """
    if hasattr(images, "detach"):
        images = images.detach().cpu().numpy()
        channels_first = images.ndim >= 3 and images.shape[-3] == 3 and images.shape[-1] != 3
        if channels_first:
            images = np.moveaxis(images, -3, -1)
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)) or (
        isinstance(images, np.ndarray) and images.ndim == 3
    ):
        images = [images]
    try:
        pictures = [_read_picture(image, position, bits) for position, image in enumerate(images)]
    except TypeError as error:
        raise GalleryRequestError(
            f"expected an image or a list of images, found {type(images).__name__} ({error})"
        ) from None
    if not pictures:
        raise GalleryRequestError("expected at least one image, found none")
    return pictures


def _read_picture(image: Any, position: int, bits: int) -> UInt8:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), name=f"image {position}", bits=bits)
    if isinstance(image, (str, os.PathLike)):
        return read_image(image, bits=bits)
    if isinstance(image, Image.Image):
        return pixels_of_image(image, name=f"image {position}", bits=bits)
    if hasattr(image, "detach"):
        return read_pictures(image)[0]
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        if image.size == 0:
            raise ImageError(f"image {position}: no pixels (shape {list(image.shape)})")
        return image
    found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
    raise GalleryRequestError(
        f"image {position}: expected a path, encoded bytes, a PIL image or an RGB uint8 array [H, W, 3], found {found}"
    )


def encode_pictures(encoder: VectorEncoder, pictures: Sequence[UInt8]) -> Float32:
    """Unit vectors [n, D] of pictures."""
    parts = [
        unit_vectors(encoder.encode(list(pictures[start : start + _ENCODE_CHUNK])), encoder.dim)
        for start in range(0, len(pictures), _ENCODE_CHUNK)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def mean_vector(vectors: Float32) -> Float32:
    """One unit vector [1, D] for a tracklet: the normalised mean of its vectors (average pooling over time).

    Raises:
        GalleryError: the vectors cancel out.
    """
    if len(vectors) == 1:
        return vectors
    mean = vectors.astype(np.float64).mean(axis=0)
    norm = float(np.sqrt(mean @ mean))
    if norm < 1e-6:
        raise GalleryRequestError("tracklet: its vectors cancel out; do they all show one person?")
    return np.asarray(mean / norm, np.float32)[None]


def thumbnail(picture: UInt8) -> bytes:
    """A JPEG of at most 128 x 96 pixels and `THUMBNAIL_BYTES` bytes.

    Raises:
        ImageError: it fits at no size.
    """
    height, width = picture.shape[:2]
    scale = min(_THUMBNAIL_HEIGHT / height, _THUMBNAIL_WIDTH / width, 1.0)
    for shrink in (1.0, 0.7, 0.45, 0.25, 0.1):
        size = (max(1, round(height * scale * shrink)), max(1, round(width * scale * shrink)))
        small = np.ascontiguousarray(resize_image(picture, *size))
        for quality in (85, 70, 50):
            data: bytes = simplejpeg.encode_jpeg(small, quality=quality, colorspace="RGB", colorsubsampling="420")
            if len(data) <= THUMBNAIL_BYTES:
                return data
    raise ImageError("thumbnail: the picture does not fit a thumbnail at any size")  # not reached by real pictures


def checked_thumbnail(picture: Any) -> bytes | None:
    """A JPEG that fits its slot, or None.

    Raises:
        GalleryRequestError: anything else.
    """
    if picture is None:
        return None
    if not isinstance(picture, bytes) or len(picture) > THUMBNAIL_BYTES:
        raise GalleryRequestError(f"thumbnail: expected a JPEG of at most {THUMBNAIL_BYTES:,} bytes")
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(picture)
        if height * width > _THUMBNAIL_PIXELS:
            raise GalleryRequestError(f"thumbnail: {width} x {height} pixels are no small picture")
        simplejpeg.decode_jpeg(picture)
    except ValueError:
        raise GalleryRequestError("thumbnail: expected a JPEG, found bytes that are none") from None
    return picture


def checked_thumbnails(pictures: Any, count: int) -> list[bytes | None]:
    """JPEGs or None [count]; see `checked_thumbnail`.

    Raises:
        GalleryRequestError: not as many, or one that is not that.
    """
    if not isinstance(pictures, (list, tuple)) or len(pictures) != count:
        found = f"{len(pictures)}" if isinstance(pictures, (list, tuple)) else type(pictures).__name__
        raise GalleryRequestError(f"thumbnails: expected a list of {count}, one for each name, found {found}")
    return [checked_thumbnail(picture) for picture in pictures]


def small_jpeg(picture: bytes | None) -> bytes | None:
    """A JPEG that fits a thumbnail: as it is, or smaller; None stays None."""
    if picture is None or len(picture) <= THUMBNAIL_BYTES:
        return picture
    return thumbnail(decode_image(picture, name="thumbnail"))

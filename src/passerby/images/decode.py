"""Decoding: bytes or a file become an RGB array, within bounds.

Both the datasets (training) and the encoder (use) decode and resize here, so that a model gets in use exactly the
pixels that it got in training.
"""

from __future__ import annotations

import os
import stat
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from passerby.array_types import UInt8
from passerby.errors import ImageError
from passerby.images.deep_values import FULL, DeepPicture, bytes_behind, is_deep, open_image, read_deep

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "AVIF")
"""What is decoded, whatever a file is called: the formats that Pillow reads in this process. Its reader of EPS starts
Ghostscript, a program that runs whatever the file says, so Pillow is never asked to guess among all its formats."""
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Usual endings, in lower case, of files in these formats."""
HEIC_EXTENSIONS = (".heic", ".heif")
"""What the extra `heic` adds to them."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# A person crop has some 10^4 to 10^6 pixels. The bound stops decompression bombs before memory is taken.
MAX_PIXELS = 50_000_000
MAX_BYTES = 64 * 2**20
GREY_BITS = FULL
"""Bits of a value in a file of 16 bits a value, where neither it nor anybody says that the camera has fewer."""
_ONE_READ = 64 * 2**10
_JPEG_MAGIC = b"\xff\xd8\xff"
_EXIF_MARK = b"Exif\x00\x00"
_SHOWN = 8  # first bytes of a file that is no picture, in the message
# what Pillow raises on damaged files, whichever of its decoders meets them
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, Image.DecompressionBombError, zlib.error, struct.error),
    *(EOFError, IndexError, KeyError, TypeError, OverflowError, RuntimeError),
)


def decoding_threads() -> int:
    """This process's share of the cores (torchrun says how many processes run on this machine), at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, buffer: UInt8 | None = None, bits: int = GREY_BITS
) -> UInt8:
    """Decode an image file to RGB.

    Args:
        path: a file in one of `FORMATS`, which its first bytes tell and not its name; of several pictures in it
            (animations, MPO) the first is read.
        max_pixels: refuse larger pictures before decoding them.
        buffer: contiguous memory that the decoder may use; the result is a view of it where the picture fits.
        bits: of values that a file stores in 16, grey or colours, of which the highest eight are taken; 12 for a
            thermal camera of 12 bits. Pictures of 8 bits stay as they are, and files that state their range (PNM below
            65,535, sBIT in PNG, 12 bits in TIFF) are read by that.

    Returns:
        uint8 array [H, W, 3], RGB, with the EXIF orientation applied.

    Raises:
        ImageError: the file is missing, empty, truncated, not an image in one of `FORMATS`, or too large, or has values
            of more than `bits` bits.
    """
    data = image_bytes(path)
    return decode_image(data, name=os.fspath(path), max_pixels=max_pixels, buffer=buffer, bits=bits)


def image_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: it is missing, no file, cannot be read, or has more than `MAX_BYTES` bytes.
    """
    name = os.fspath(path)
    try:
        return _read_bounded(name)
    except FileNotFoundError:
        raise ImageError(f"{name}: no such image file") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror})") from error


def _read_bounded(name: str) -> bytes:
    """The file's bytes; a person crop takes one read, which is half the cost of a buffered file object.

    A pipe or a device is no picture: opening the one would wait for a writer, reading the other never end.
    """
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
            raise ImageError(f"{name}: expected an image file, found {kind}")
        data = os.read(descriptor, _ONE_READ)
        if len(data) < _ONE_READ:
            return data
        size = found.st_size
        if size > MAX_BYTES:
            raise ImageError(f"{name}: {size:,} bytes are more than the limit of {MAX_BYTES:,}")
    finally:
        os.close(descriptor)
    return Path(name).read_bytes()


def decode_image(
    data: bytes,
    *,
    name: str = "image",
    max_pixels: int = MAX_PIXELS,
    buffer: UInt8 | None = None,
    bits: int = GREY_BITS,
) -> UInt8:
    """Decode image bytes to RGB uint8 [H, W, 3]; `name` is what error messages call them, the rest as in `read_image`.

    Raises:
        ImageError: empty, truncated, not an image in one of `FORMATS`, more than `max_pixels` pixels, or values of more
            than `bits` bits.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes)")
    # simplejpeg decodes about 3.6 times as fast as Pillow, bit for bit the same; it knows no EXIF, so rotated
    # pictures (phones; never surveillance crops) take the slower way. EXIF may stand behind other segments.
    if data.startswith(_JPEG_MAGIC) and _EXIF_MARK not in data:
        decoded = _decode_plain_jpeg(data, name, max_pixels, buffer)
        if decoded is not None:
            return decoded
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return _decode_with_pillow(data, name, max_pixels, bits, (*FORMATS, *_heic_format(name)))
    return _decode_with_pillow(data, name, max_pixels, bits)


def _heic_format(name: str) -> tuple[str, ...]:
    """Pillow's name of the format, after its reader was registered; AVIF files may bear the same brand."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            f"{name}: a HEIC picture needs the package pillow-heif: pip install 'passerby[heic]'"
        ) from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def _decode_plain_jpeg(data: bytes, name: str, max_pixels: int, buffer: UInt8 | None) -> UInt8 | None:
    """RGB or grey JPEG; None where Pillow has to decide (CMYK, damaged files)."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray", "RGB"):
            return None
        _check_size(height, width, name, max_pixels)
        fits = buffer is not None and buffer.nbytes >= height * width * 3
        decoded: UInt8 = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True, buffer=buffer if fits else None)
    except ValueError:
        return None
    return decoded


def _decode_with_pillow(
    data: bytes, name: str, max_pixels: int, bits: int, formats: tuple[str, ...] = FORMATS
) -> UInt8:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is ours, and stricter
            warnings.simplefilter("ignore", UserWarning)  # about damaged metadata; what cannot be read is refused below
            with open_image(data, formats) as image:
                return _pixels(image, data, name, max_pixels, bits)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a readable image (it begins with {data[:_SHOWN]!r}; formats read: {', '.join(FORMATS)})"
        ) from error
    except _DAMAGED as error:
        raise ImageError(f"{name}: not a readable image ({str(error) or type(error).__name__})") from error


def pixels_of_image(
    image: Image.Image, *, name: str = "image", max_pixels: int = MAX_PIXELS, bits: int = GREY_BITS
) -> UInt8:
    """A picture that Pillow has opened as RGB uint8 [H, W, 3], upright where its EXIF data say how it was held.

    Once Pillow has decoded it, colours have 8 bits, which stay as they are.

    Raises:
        ImageError: it has more than `max_pixels` pixels, or values of more than `bits` bits or unknown range, or its
            file is damaged.
    """
    try:
        return _pixels(image, bytes_behind(image) if is_deep(image) else None, name, max_pixels, bits)
    except _DAMAGED as error:  # Pillow reads the pixels of a file only now
        raise ImageError(f"{name}: not a readable image ({str(error) or type(error).__name__})") from error


def _pixels(image: Image.Image, data: bytes | None, name: str, max_pixels: int, bits: int) -> UInt8:
    """RGB in 8 bits: of more the highest eight are kept (Pillow would clip), floating-point 0..1 becomes 0..255."""
    _check_size(image.height, image.width, name, max_pixels)
    if is_deep(image):
        deep = read_deep(image, data, name=name)
        if deep is not None:
            return _highest_eight(deep, name, bits)
        if bits != GREY_BITS:
            raise ImageError(
                f"{name}: of its 16 bits a value only the highest 8 can be read, which {bits} bits do not go with; "
                "save it as grey, RGB or RGBA in PNG"
            )
    return np.asarray(_to_rgb(ImageOps.exif_transpose(image), name), dtype=np.uint8)


def _highest_eight(deep: DeepPicture, name: str, asked: int) -> UInt8:
    values, bits = deep.values, asked if deep.stated is None else deep.stated
    if values.min() < 0 or values.max() >= 2**bits:
        what = "values" if values.ndim == 3 else "grey values"
        raise ImageError(
            f"{name}: {what} from {values.min()} to {values.max()}; expected 0 to {2**bits - 1:,}, {bits} bits"
        )
    eight = (values >> (bits - 8)).astype(np.uint8)
    return eight if eight.ndim == 3 else np.repeat(eight[..., None], 3, axis=2)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        shares = np.asarray(image, np.float64)
        if not (np.isfinite(shares).all() and shares.min() >= 0.0 and shares.max() <= 1.0):
            raise ImageError(
                f"{name}: floating-point grey values from {shares.min():g} to {shares.max():g}; expected 0 to 1: scale "
                "them, or save 8 or 16 bits"
            )
        return Image.fromarray(np.rint(shares * 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _check_size(height: int, width: int, name: str, max_pixels: int) -> None:
    if height < 1 or width < 1:
        raise ImageError(f"{name}: {width} x {height} pixels is no picture")
    if height * width > max_pixels:
        raise ImageError(f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}")


def resize_image(image: UInt8, height: int, width: int) -> UInt8:
    """Resize RGB uint8 [H, W, 3] to [height, width, 3], bilinear with antialiasing (Pillow's, as torchvision uses)."""
    if image.shape[0] == height and image.shape[1] == width:
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)

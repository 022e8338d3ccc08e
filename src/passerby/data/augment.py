"""Random changes of whole batches of uint8 images, on the device that holds them.

Order: colour jitter, flip, zero padding and random crop, normalisation, random erasing (with the mean, which is 0
after normalisation). All random numbers are drawn on the host from a seed, so that CPU and GPU do the same; the CPU
does everything in one pass per image, straight from the uint8 source into the float batch.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from passerby.config import AugmentConfig, InputConfig
from passerby.data.images import decoding_threads
from passerby.pixels import UInt8Array

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]
_REFERENCE_HEIGHT = 256  # the height for which `pad` is given
_ERASING_ATTEMPTS = 10  # as torchvision's RandomErasing: boxes that do not fit are drawn again


@dataclass(frozen=True)
class Draw:
    """The random choices of a batch of B images.

    Attributes:
        place: int64 [B, 3]: mirrored (0 or 1), and the crop's top and left corner in the padded image.
        box: int64 [B, 4]: the erased rows and columns, top, bottom, left, right (an empty box erases nothing).
        color: float32 [B, 3]: factors of brightness, contrast and saturation.
    """

    place: Int64Array
    box: Int64Array
    color: Float32Array


class Augmenter:
    """Batched, seeded augmentation and normalisation.

    Args:
        augment: what is changed, and how often.
        input: the size of the network's input (a batch of another size is resized first), mean and std.

    The same seed gives the same result, whatever the device, the number of threads or the memory layout.
    """

    def __init__(self, augment: AugmentConfig, input: InputConfig) -> None:  # noqa: A002 - the name of the settings
        self.augment = augment
        self.input = input
        self.pad = round(augment.pad * input.height / _REFERENCE_HEIGHT)
        # v / 255 in units of std from the mean: v * scale + shift
        self._scale = (1.0 / (255.0 * np.asarray(input.std))).astype(np.float32)
        self._shift = (-np.asarray(input.mean) / np.asarray(input.std)).astype(np.float32)
        self._pool = ThreadPoolExecutor(decoding_threads(), thread_name_prefix="augment")

    def __call__(self, images: Tensor, *, generator_seed: tuple[int, ...]) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8 [B, 3, H, W] on any device.
            generator_seed: non-negative integers, for example (seed, epoch, step, rank).

        Returns:
            float32 [B, 3, height, width] on the same device, normalised, channels-last.
        """
        draw = self.draw(len(images), generator_seed)
        size = (self.input.height, self.input.width)
        if images.shape[2:] != size:
            images = resize_batch(images, *size)
        if images.device.type != "cpu":
            return self._on_device(images, draw)
        out = torch.empty((len(images), 3, *size), memory_format=torch.channels_last)
        source = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.write(source, np.arange(len(images)), draw, out.permute(0, 2, 3, 1).numpy())
        return out

    def draw(self, n: int, generator_seed: tuple[int, ...]) -> Draw:
        """The random choices for `n` images."""
        rng = np.random.default_rng(generator_seed)
        a = self.augment
        place = np.empty((n, 3), np.int64)
        place[:, 0] = rng.random(n) < a.flip
        place[:, 1:] = rng.integers(0, 2 * self.pad + 1, (n, 2))
        color = (1.0 + a.color_jitter * rng.uniform(-1.0, 1.0, (n, 3))).astype(np.float32)
        return Draw(place, self._boxes(n, rng), color)

    def _boxes(self, n: int, rng: np.random.Generator) -> Int64Array:
        """Zhong et al. 2020: area uniform, aspect ratio log-uniform; the first of ten boxes that fits."""
        a, (height, width) = self.augment, (self.input.height, self.input.width)
        erased = rng.random(n) < a.erasing
        area = rng.uniform(*a.erasing_area, (n, _ERASING_ATTEMPTS)) * height * width
        limit = -math.log(a.erasing_aspect)
        aspect = np.exp(rng.uniform(-limit, limit, (n, _ERASING_ATTEMPTS)))
        h, w = np.rint(np.sqrt(area * aspect)).astype(np.int64), np.rint(np.sqrt(area / aspect)).astype(np.int64)
        fits = (h < height) & (w < width) & erased[:, None]
        first = fits.argmax(1)
        rows = np.arange(n)
        h, w = h[rows, first] * fits.any(1), w[rows, first] * fits.any(1)
        top = (rng.random(n) * (height - h + 1)).astype(np.int64)
        left = (rng.random(n) * (width - w + 1)).astype(np.int64)
        return np.stack([top, top + h, left, left + w], axis=1)

    def write(self, source: UInt8Array, rows: Int64Array, draw: Draw, out: Float32Array) -> None:
        """CPU: augment `source[rows]` into `out`, one pass an image, images split over threads.

        Args:
            source: uint8 [n, height, width, 3], for example a whole image store.
            rows: which images, [B].
            draw: from `draw(B, ...)`.
            out: float32 [B, height, width, 3], written.
        """
        jitter = self.augment.color_jitter > 0

        def part(begin: int, end: int) -> None:
            part_of = slice(begin, end)
            _augment(
                source, rows[part_of], draw.place[part_of], draw.box[part_of], draw.color[part_of], jitter,
                self.pad, self._scale, self._shift, out[part_of],
            )  # fmt: skip

        n = len(rows)
        workers = min(decoding_threads(), n)
        bounds = [n * i // workers for i in range(workers + 1)] if workers else []
        list(self._pool.map(part, bounds[:-1], bounds[1:]))

    def _on_device(self, images: Tensor, draw: Draw) -> Tensor:
        """The same in torch operations, without waiting for the device."""
        device = images.device
        place, box, color = (_send(x, device) for x in (draw.place, draw.box, draw.color))
        x = images.to(torch.float32)
        if self.augment.color_jitter > 0:
            x = _jitter(x, color)
        x = _crop(x, place, self.pad)
        scale, shift = (_send(v, device).view(1, 3, 1, 1) for v in (self._scale, self._shift))
        x = x * scale + shift
        y = torch.arange(x.shape[2], device=device)
        z = torch.arange(x.shape[3], device=device)
        in_rows = (y >= box[:, 0:1]) & (y < box[:, 1:2])
        in_columns = (z >= box[:, 2:3]) & (z < box[:, 3:4])
        x = x.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)
        return x.contiguous(memory_format=torch.channels_last)


def normalize(images: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """uint8 [B, 3, H, W] -> float32: (v / 255 - mean) / std, on the images' device."""
    center = torch.tensor(mean, device=images.device).view(1, 3, 1, 1)
    spread = torch.tensor(std, device=images.device).view(1, 3, 1, 1)
    return (images.to(torch.float32) / 255.0 - center) / spread


def resize_batch(images: Tensor, height: int, width: int) -> Tensor:
    """Resize uint8 [B, 3, H, W] as `passerby.pixels.resize_image` does, to within 1/255, on the images' device."""
    if images.device.type == "cpu":
        return functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
    resized = functional.interpolate(images.to(torch.float32), (height, width), mode="bilinear", antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def _send(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _jitter(x: Tensor, color: Tensor) -> Tensor:
    weights = torch.tensor((0.299, 0.587, 0.114), device=x.device).view(1, 3, 1, 1)
    brightness, contrast, saturation = (color[:, i].view(-1, 1, 1, 1) for i in range(3))
    x = (x * brightness).clamp(0, 255)
    mean = (x * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    x = (mean + (x - mean) * contrast).clamp(0, 255)
    gray = (x * weights).sum(1, keepdim=True)
    return (gray + (x - gray) * saturation).clamp(0, 255)


def _crop(x: Tensor, place: Tensor, pad: int) -> Tensor:
    """Mirror, pad with zeros and crop, as one gather."""
    n, _, height, width = x.shape
    rows = torch.arange(height, device=x.device) + place[:, 1:2] - pad
    columns = torch.arange(width, device=x.device) + place[:, 2:3] - pad
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    columns = torch.where(place[:, 0:1] == 1, width - 1 - columns, columns)
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    taken = x.flatten(2).gather(2, index.view(n, 1, -1).expand(-1, 3, -1))
    return taken.view_as(x) * inside[:, None]


@numba.njit(cache=True, nogil=True)
def _augment(  # type: ignore[no-untyped-def]
    source, rows, place, box, color, jitter, pad, scale, shift, out
):
    """Every image: find each output row's stretch inside the source, then convert it in one sweep."""
    _, height, width, _ = source.shape
    buffer = np.empty((height, width, 3), np.float32)
    for i in range(len(rows)):
        image = source[rows[i]]
        if jitter:
            _jitter_into(image, color[i], buffer)
        mirrored, top, left = place[i]
        # output column c shows padded column c + left, which is image column c + left - pad (mirrored: from the right)
        begin = max(0, pad - left)
        end = min(width, width + pad - left)
        for y in range(height):
            line = out[i, y]
            sy = y + top - pad
            if sy < 0 or sy >= height:
                for x in range(width):
                    for c in range(3):
                        line[x, c] = shift[c]
                continue
            for x in range(begin):
                for c in range(3):
                    line[x, c] = shift[c]
            for x in range(end, width):
                for c in range(3):
                    line[x, c] = shift[c]
            for x in range(begin, end):
                sx = x + left - pad
                if mirrored:
                    sx = width - 1 - sx
                for c in range(3):
                    value = buffer[sy, sx, c] if jitter else np.float32(image[sy, sx, c])
                    line[x, c] = value * scale[c] + shift[c]
        for y in range(box[i, 0], box[i, 1]):
            out[i, y, box[i, 2] : box[i, 3]] = 0.0


@numba.njit(cache=True, nogil=True)
def _jitter_into(image, color, buffer):  # type: ignore[no-untyped-def]
    """Brightness, contrast (about the mean grey), saturation (about each pixel's grey), each clipped to 0..255."""
    low, high = np.float32(0.0), np.float32(255.0)
    height, width, _ = image.shape
    total = 0.0
    for y in range(height):
        for x in range(width):
            for c in range(3):
                buffer[y, x, c] = min(high, np.float32(image[y, x, c]) * color[0])
            total += (
                np.float32(0.299) * buffer[y, x, 0]
                + np.float32(0.587) * buffer[y, x, 1]
                + np.float32(0.114) * buffer[y, x, 2]
            )
    mean = np.float32(total / (height * width))
    for y in range(height):
        for x in range(width):
            for c in range(3):
                buffer[y, x, c] = min(high, max(low, mean + (buffer[y, x, c] - mean) * color[1]))
            gray = (
                np.float32(0.299) * buffer[y, x, 0]
                + np.float32(0.587) * buffer[y, x, 1]
                + np.float32(0.114) * buffer[y, x, 2]
            )
            for c in range(3):
                buffer[y, x, c] = min(high, max(low, gray + (buffer[y, x, c] - gray) * color[2]))

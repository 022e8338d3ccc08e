"""Random changes of whole batches of uint8 images, on the device that holds them.

Order: colour jitter, flip, zero padding and random crop, normalisation, random erasing (with the mean, which is 0
after normalisation). All random numbers are drawn on the host from a seed, so that CPU and GPU do the same; the CPU
does everything in one pass per image, straight from the uint8 source into the float batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from passerby.array_types import Float32, Int64, UInt8
from passerby.config import AugmentConfig, InputConfig
from passerby.numba_jit import compiled

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

    place: Int64
    box: Int64
    color: Float32

    def part(self, own: slice | Int64) -> Draw:
        """The choices of some of the images: a range of them, or those at positions [m]."""
        return Draw(self.place[own], self.box[own], self.color[own])


class Augmenter:
    """Batched, seeded augmentation and normalisation.

    Args:
        augment: what is changed, and how often.
        input: the size of the network's input, mean and std.

    Attributes:
        source: height and width of the images that crops are taken from, `enlarge` times the input's (a batch of
            another size is resized first).

    The same seed gives the same result, whatever the device, the number of threads or the memory layout.
    """

    def __init__(self, augment: AugmentConfig, input: InputConfig) -> None:  # noqa: A002 - the name of the settings
        self.augment = augment
        self.input = input
        self.pad = round(augment.pad * input.height / _REFERENCE_HEIGHT)
        self.source = round(augment.enlarge * input.height), round(augment.enlarge * input.width)
        # v / 255 in units of std from the mean: v * scale + shift
        self._scale = (1.0 / (255.0 * np.asarray(input.std))).astype(np.float32)
        self._shift = (-np.asarray(input.mean) / np.asarray(input.std)).astype(np.float32)
        self._row_scale, self._row_shift = (np.tile(v, input.width) for v in (self._scale, self._shift))

    def __call__(
        self, images: Tensor, *, generator_seed: tuple[int, ...], rank: int = 0, world_size: int = 1
    ) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8 [B, 3, H, W] on any device.
            generator_seed: non-negative integers, for example (seed, epoch, step).
            rank: which share of a global batch this is.
            world_size: how many equal shares that batch has.

        Returns:
            float32 [B, 3, height, width] on the same device, normalised, channels-last.
        """
        return self.change(images, self.draw(len(images), generator_seed, rank=rank, world_size=world_size))

    def change(self, images: Tensor, draw: Draw) -> Tensor:
        """As `__call__`, with choices that were drawn already."""
        size = (self.input.height, self.input.width)
        if images.shape[2:] != self.source:
            images = resize_batch(images, *self.source)
        if images.device.type != "cpu":
            return self._on_device(images, draw)
        out = torch.empty((len(images), 3, *size), memory_format=torch.channels_last)
        source = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.write(source, np.arange(len(images)), draw, out.permute(0, 2, 3, 1).numpy())
        return out

    def draw(self, n: int, generator_seed: tuple[int, ...], *, rank: int = 0, world_size: int = 1) -> Draw:
        """The random choices for `n` images, the share `rank` of a batch of n * world_size.

        They are drawn for the whole batch, so that an image is changed alike however many processes share it.
        """
        return self._draw(n * world_size, generator_seed).part(slice(rank * n, (rank + 1) * n))

    def _draw(self, n: int, generator_seed: tuple[int, ...]) -> Draw:
        rng = np.random.default_rng(generator_seed)
        a = self.augment
        place = np.empty((n, 3), np.int64)
        place[:, 0] = rng.random(n) < a.flip
        if self.source == (self.input.height, self.input.width):
            place[:, 1:] = rng.integers(0, 2 * self.pad + 1, (n, 2))
        else:
            spare = self.source[0] - self.input.height, self.source[1] - self.input.width
            place[:, 1:] = rng.integers(0, 2 * self.pad + 1 + np.asarray(spare), (n, 2))
        color = (1.0 + a.color_jitter * rng.uniform(-1.0, 1.0, (n, 3))).astype(np.float32)
        return Draw(place, self._boxes(n, rng), color)

    def _boxes(self, n: int, rng: np.random.Generator) -> Int64:
        """Zhong et al. 2020: area uniform, aspect ratio log-uniform; the first of ten boxes that fits."""
        a, (height, width) = self.augment, (self.input.height, self.input.width)
        erased = rng.random(n) < a.erasing
        area = rng.uniform(*a.erasing_area, (n, _ERASING_ATTEMPTS)) * height * width
        limit = abs(math.log(a.erasing_aspect))
        aspect = np.exp(rng.uniform(-limit, limit, (n, _ERASING_ATTEMPTS)))
        h, w = np.rint(np.sqrt(area * aspect)).astype(np.int64), np.rint(np.sqrt(area / aspect)).astype(np.int64)
        fits = (h < height) & (w < width) & erased[:, None]
        first = fits.argmax(1)
        rows = np.arange(n)
        h, w = h[rows, first] * fits.any(1), w[rows, first] * fits.any(1)
        top = (rng.random(n) * (height - h + 1)).astype(np.int64)
        left = (rng.random(n) * (width - w + 1)).astype(np.int64)
        return np.stack([top, top + h, left, left + w], axis=1)

    def write(self, source: UInt8, rows: Int64, draw: Draw, out: Float32) -> None:
        """CPU: augment `source[rows]` into `out`, one pass an image, in the calling thread (without the GIL).

        Args:
            source: uint8 [n, *self.source, 3], for example all pixels of an image store.
            rows: which images, [B].
            draw: from `draw(B, ...)`.
            out: float32 [B, height, width, 3], written.
        """
        height, span = self.input.height, 3 * self.input.width
        _augment(
            source.reshape(-1, self.source[0], 3 * self.source[1]), rows, draw.place, draw.box, draw.color,
            self.augment.color_jitter > 0, self.pad, self._row_scale, self._row_shift, out.reshape(-1, height, span),
        )  # fmt: skip

    def _on_device(self, images: Tensor, draw: Draw) -> Tensor:
        """The same in torch operations, without waiting for the device."""
        device = images.device
        place, box, color = (_send(x, device) for x in (draw.place, draw.box, draw.color))
        x = images.to(torch.float32)
        if self.augment.color_jitter > 0:
            x = _jitter(x, color)
        x = _crop(x, place, self.pad, (self.input.height, self.input.width))
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
    center, spread = (_send(np.asarray(v, np.float32), images.device).view(1, 3, 1, 1) for v in (mean, std))
    return (images.to(torch.float32) / 255.0 - center) / spread


def resize_batch(images: Tensor, height: int, width: int) -> Tensor:
    """Resize uint8 [B, 3, H, W] as `images.decode.resize_image` does, to within 1/255, on the images' device."""
    if images.device.type == "cpu":
        return functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
    resized = functional.interpolate(images.to(torch.float32), (height, width), mode="bilinear", antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def _send(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _jitter(x: Tensor, color: Tensor) -> Tensor:
    brightness, contrast, saturation = (color[:, i].view(-1, 1, 1, 1) for i in range(3))
    x = (x * brightness).clamp(0, 255)
    mean = _luma(x).mean((2, 3), keepdim=True)
    x = (mean + (x - mean) * contrast).clamp(0, 255)
    gray = _luma(x)
    return (gray + (x - gray) * saturation).clamp(0, 255)


def _luma(x: Tensor) -> Tensor:
    """Grey of each pixel (ITU-R BT.601), [B, 1, H, W]."""
    return 0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


def _crop(x: Tensor, place: Tensor, pad: int, size: tuple[int, int]) -> Tensor:
    """Mirror, pad with zeros and crop to `size`, as one gather."""
    n, _, height, width = x.shape
    rows = torch.arange(size[0], device=x.device) + place[:, 1:2] - pad
    columns = torch.arange(size[1], device=x.device) + place[:, 2:3] - pad
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    columns = torch.where(place[:, 0:1] == 1, width - 1 - columns, columns)
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    taken = x.flatten(2).gather(2, index.view(n, 1, -1).expand(-1, 3, -1))
    return taken.view(n, 3, *size) * inside[:, None]


@compiled
def _augment(
    source: UInt8, rows: Int64, place: Int64, box: Int64, color: Float32, jitter: bool,
    pad: int, scale: Float32, shift: Float32, out: Float32,
) -> None:  # fmt: skip
    """Images as rows of interleaved channels: find what is seen of each source row, convert it in one sweep.

    `scale` and `shift` are repeated along a row, so that the sweep has no inner loop over channels: it becomes vector
    instructions, as does `_mirror`. That, and writing each value once, is what makes this fast.
    """
    _, height, span = source.shape
    source_width = span // 3
    width = out.shape[2] // 3
    mirror = np.empty(span, np.uint8)
    floats = np.empty(span, np.float32)
    colored = np.empty((height, span) if jitter else (0, 0), np.float32)
    for i in range(len(rows)):
        image = source[rows[i]]
        if jitter:
            _jitter_into(image, color[i], colored)
        mirrored, top, left = place[i]
        # output column x shows column x + left - pad of the (mirrored) image
        begin = 3 * min(width, max(0, pad - left))
        end = max(begin, 3 * min(width, source_width + pad - left))
        skip = 3 * max(0, left - pad)
        for y in range(out.shape[1]):
            line = out[i, y]
            row = y + top - pad
            if row < 0 or row >= height:
                line[:] = shift
                continue
            line[:begin] = shift[:begin]
            line[end:] = shift[end:]
            if jitter:
                if mirrored:
                    _mirror(colored[row], floats)
                values = floats if mirrored else colored[row]
                _convert(values[skip : skip + end - begin], scale, shift, line[begin:end])
            elif mirrored:
                _mirror(image[row], mirror)
                _convert(mirror[skip : skip + end - begin], scale, shift, line[begin:end])
            else:
                _convert(image[row, skip : skip + end - begin], scale, shift, line[begin:end])
        for y in range(box[i, 0], box[i, 1]):
            out[i, y, 3 * box[i, 2] : 3 * box[i, 3]] = 0.0


@compiled
def _convert(values: npt.NDArray[Any], scale: Float32, shift: Float32, line: Float32) -> None:
    for j in range(len(line)):
        line[j] = np.float32(values[j]) * scale[j] + shift[j]


@compiled
def _mirror(row: npt.NDArray[Any], mirror: npt.NDArray[Any]) -> None:
    """Pixels from right to left; unsigned positions, because signed ones may wrap around and are not vectorised."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    last = np.uint64(len(row) // 3 - 1)
    for x in range(np.uint64(len(row) // 3)):
        there, here = three * (last - x), three * x
        mirror[here] = row[there]
        mirror[here + one] = row[there + one]
        mirror[here + two] = row[there + two]


@compiled
def _jitter_into(image: UInt8, color: Float32, colored: Float32) -> None:
    """Brightness, contrast (about the mean grey), saturation (about each pixel's grey), each clipped to 0..255."""
    low, high = np.float32(0.0), np.float32(255.0)
    height, span = image.shape
    brightness, contrast, saturation = color
    total = 0.0
    for y in range(height):
        row, line = image[y], colored[y]
        for j in range(span):
            line[j] = min(high, np.float32(row[j]) * brightness)
        for x in range(np.uint64(span // 3)):
            total += _gray(line, x)
    mean = np.float32(total / (height * (span // 3)))
    for y in range(height):
        line = colored[y]
        for j in range(span):
            line[j] = min(high, max(low, mean + (line[j] - mean) * contrast))
        for x in range(np.uint64(span // 3)):
            gray = _gray(line, x)
            for c in range(np.uint64(3)):
                place = np.uint64(3) * x + c
                line[place] = min(high, max(low, gray + (line[place] - gray) * saturation))


@compiled
def _gray(line: Float32, x: Any) -> Any:
    """Luma (ITU-R BT.601) of pixel x, an unsigned position."""
    j = np.uint64(3) * x
    red, green, blue = line[j], line[j + np.uint64(1)], line[j + np.uint64(2)]
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue

"""Images a second a core, from JPEG files and from the cache, against per-image transforms with Pillow.

    python -m benchmarks.input                     # drawn pedestrians, 128x64 JPEG
    python -m benchmarks.input --images FOLDER     # any folder of JPEG files

The baseline is what a training script with Pillow and torchvision transforms does: open, resize, flip, pad, crop,
to tensor, normalise, erase, one image after another, then stack. It is written out below (`per_image`) with the
copies that torchvision's transforms make, so that torchvision is not needed. Rates are per second of processor
time, all threads counted.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from benchmarks.measure import interleaved
from passerby.config import AugmentConfig, InputConfig
from passerby.data.augment import Augmenter
from passerby.data.records import Sample
from passerby.data.synthetic.dataset import draw_dataset
from passerby.images.cache import ImageStore

BATCH = 64
INPUT = InputConfig()
AUGMENT = AugmentConfig()


def per_image(path: Path) -> Tensor:
    """The usual per-image pipeline (resize, flip, pad and crop, to tensor, normalise, erase)."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    image = image.resize((INPUT.width, INPUT.height), Image.Resampling.BILINEAR)
    if torch.rand(1) < AUGMENT.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageOps.expand(image, border=AUGMENT.pad, fill=0)
    top, left = (int(torch.randint(0, 2 * AUGMENT.pad + 1, (1,)).item()) for _ in range(2))
    image = image.crop((left, top, left + INPUT.width, top + INPUT.height))
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
    x = x.clone().sub_(torch.tensor(INPUT.mean).view(-1, 1, 1)).div_(torch.tensor(INPUT.std).view(-1, 1, 1))
    return _erase(x.clone()) if torch.rand(1) < AUGMENT.erasing else x


def _erase(x: Tensor) -> Tensor:
    area = x.shape[1] * x.shape[2]
    for _ in range(10):
        target = random.uniform(*AUGMENT.erasing_area) * area
        limit = -math.log(AUGMENT.erasing_aspect)
        aspect = math.exp(random.uniform(-limit, limit))
        h, w = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if h < x.shape[1] and w < x.shape[2]:
            i, j = random.randint(0, x.shape[1] - h), random.randint(0, x.shape[2] - w)
            x[:, i : i + h, j : j + w] = 0.0
            break
    return x


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEG files (default: drawn pedestrians)")
    parser.add_argument("--count", type=int, default=512, help="how many images")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.images or draw_dataset(folder, identities=40, train_identities=36, progress=False)
        paths = sorted(root.rglob("*.jpg"))[: arguments.count]
        measure([Sample(path, 1) for path in paths], arguments.rounds)


def measure(samples: list[Sample], rounds: int) -> None:
    height, width = Image.open(samples[0].path).size[::-1]
    files = ImageStore([s.path for s in samples], INPUT.height, INPUT.width, cache="none", threads=1)
    kept = ImageStore([s.path for s in samples], INPUT.height, INPUT.width, threads=1, progress=False)
    native_files = ImageStore([s.path for s in samples], height, width, cache="none", threads=1)
    native_kept = ImageStore([s.path for s in samples], height, width, threads=1, progress=False)
    assert kept.pixels is not None
    pixels = kept.pixels
    augmenter = Augmenter(AUGMENT, INPUT)
    batches = [np.random.default_rng(0).permutation(len(samples))[s : s + BATCH] for s in range(0, len(samples), BATCH)]
    out = np.empty((BATCH, INPUT.height, INPUT.width, 3), np.float32)
    rows = np.arange(BATCH)
    room = np.empty((8, INPUT.height, INPUT.width, 3), np.uint8)
    native = np.empty((BATCH, height, width, 3), np.uint8)

    def baseline() -> None:
        for batch in batches:
            torch.stack([per_image(samples[i].path) for i in batch])

    def from_files() -> None:
        for step, batch in enumerate(batches):
            draw = augmenter.draw(len(batch), (0, step))
            for start in range(0, len(batch), 8):  # as the training loader does
                own = slice(start, start + 8)
                n = len(batch[own])
                augmenter.write(files.read(batch[own], room[:n]), rows[:n], draw.part(own), out[own][:n])

    def from_cache() -> None:
        for step, batch in enumerate(batches):
            augmenter.write(pixels, batch, augmenter.draw(len(batch), (0, step)), out[: len(batch)])

    def native_from_files() -> None:
        for batch in batches:
            native_files.fetch(batch, native[: len(batch)])

    def native_from_cache() -> None:
        for batch in batches:
            native_kept.fetch(batch, native[: len(batch)])

    to_float = f"float32 {INPUT.height}x{INPUT.width}"
    candidates = {
        f"Pillow, per image, JPEG to {to_float}": baseline,
        f"passerby, JPEG to {to_float}": from_files,
        f"passerby, cache to {to_float}": from_cache,
        f"passerby, JPEG to uint8 {height}x{width}": native_from_files,
        f"passerby, cache to uint8 {height}x{width}": native_from_cache,
    }
    seconds = interleaved(candidates, rounds=rounds, clock=time.process_time)
    base = next(iter(seconds.values()))
    print(f"{len(samples)} images of {height}x{width}, batches of {BATCH}; images a second of processor time")
    for name, value in seconds.items():
        print(f"{name:48s} {len(samples) / value:10,.0f}   {base / value:6.1f} x")


if __name__ == "__main__":
    main()

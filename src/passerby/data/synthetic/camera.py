"""Cameras: a background, a light, and what lens and sensor make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from passerby.array_types import UInt8

HEIGHT, WIDTH = 128, 64
ZOOM = 2
"""Figures are drawn at so many times the size and averaged: soft edges."""


@dataclass(frozen=True, eq=False)
class Camera:
    """What all images of a camera have in common."""

    background: UInt8  # [HEIGHT + 32, 256, 3]
    gain: npt.NDArray[np.float32]  # colour cast and exposure, a factor per channel
    gamma: float
    saturation: float
    haze: float
    blur: float
    noise: float
    light: float  # -1 from the left .. 1 from the right
    loose: float  # crop error
    turn: float  # the side people mostly show: 0 front, pi / 2 side, pi back

    @staticmethod
    def of(seed: int, number: int) -> Camera:
        """The camera with this number (0-based)."""
        rng = np.random.default_rng((seed, 0, number))
        warm = rng.uniform(-0.2, 0.2)
        gain = rng.uniform(0.75, 1.2) * np.array((1 + warm, 1 + rng.uniform(-0.08, 0.08), 1 - warm), np.float32)
        return Camera(
            background=_scenery(rng),
            gain=gain.astype(np.float32),
            gamma=float(rng.uniform(0.75, 1.35)),
            saturation=float(rng.uniform(0.55, 1.15)),
            haze=float(rng.uniform(0.0, 0.18)),
            blur=float(rng.uniform(0.0, 0.9)),
            noise=float(rng.uniform(1.0, 4.5)),
            light=float(rng.uniform(-1.0, 1.0)),
            loose=float(rng.uniform(0.03, 0.09)),
            turn=float(rng.uniform(0.0, 2 * math.pi)),
        )


def photograph(layer: Image.Image, camera: Camera, rng: np.random.Generator) -> UInt8:
    """Put the layer before the camera's background, then light, lens and sensor."""
    figure = np.asarray(layer.reduce(ZOOM))
    top, left = int(rng.integers(0, 33)), int(rng.integers(0, camera.background.shape[1] - WIDTH + 1))
    x = camera.background[top : top + HEIGHT, left : left + WIDTH].astype(np.float32)
    across = np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32)
    light = 1.0 + 0.28 * camera.light * across + np.float32(rng.normal(0.0, 0.05))
    cloth = 1.0 + 0.05 * rng.standard_normal((HEIGHT // 4, WIDTH // 4), dtype=np.float32)
    shade = cloth.repeat(4, 0).repeat(4, 1) * light
    body = figure[:, :, :3] * shade[:, :, None]
    x += (body - x) * (figure[:, :, 3:] * np.float32(1 / 255))
    radius = camera.blur * float(rng.uniform(0.6, 1.4))
    if radius > 0.3:
        x = np.asarray(_to_image(x).filter(ImageFilter.GaussianBlur(radius)), np.float32)
    gray = x @ np.array((0.299, 0.587, 0.114), np.float32)
    x = gray[:, :, None] + (x - gray[:, :, None]) * np.float32(camera.saturation)
    # gamma, exposure and haze act on each value alone: one table instead of a power for every pixel
    response = 255.0 * np.linspace(0.0, 1.0, 256) ** camera.gamma * (1.0 + rng.normal(0.0, 0.08))
    curves = response[:, None] * camera.gain * (1.0 - camera.haze) + 190.0 * camera.haze
    levels = np.clip(x, 0, 255).astype(np.uint8)
    x = curves.astype(np.float32)[levels, np.arange(3)]
    x += camera.noise * rng.standard_normal(x.shape, dtype=np.float32)
    return np.clip(x, 0, 255).astype(np.uint8)


def _to_image(x: npt.NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))


def _scenery(rng: np.random.Generator) -> UInt8:
    """A wall or a hedge, a ground, and things standing about: [HEIGHT + 32, 256, 3]."""
    height, width = HEIGHT + 32, 256
    wall = tuple(int(v) for v in rng.uniform(70, 190) + rng.uniform(-25, 25, 3))
    ground = tuple(int(v) for v in rng.uniform(80, 180) + rng.uniform(-15, 15, 3))
    horizon = int(height * rng.uniform(0.3, 0.62))
    picture = Image.new("RGB", (width, height), wall)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, horizon, width, height), fill=ground)
    joint = tuple(int(v * 0.85) for v in ground)
    for k in range(1, 9):  # slabs that grow towards the viewer
        y = horizon + (height - horizon) * (k / 8) ** 2
        pen.line((0, y, width, y), fill=joint)
    for seam in range(-width, 2 * width, int(rng.integers(28, 50))):
        pen.line((width / 2 + (seam - width / 2) * 0.6, horizon, seam, height), fill=joint)
    for _ in range(int(rng.integers(5, 10))):
        x, w = float(rng.uniform(-10, width)), float(rng.uniform(6, 40))
        h = float(rng.uniform(20, horizon))
        color = tuple(int(v) for v in rng.uniform(40, 210, 3) * 0.6 + 0.4 * np.array(wall))
        if rng.random() < 0.35:
            pen.ellipse(
                (x, horizon - h, x + w, horizon + 6),
                fill=tuple(int(v) for v in rng.uniform((30, 70, 30), (80, 130, 70))),
            )
        else:
            pen.rectangle((x, horizon - h, x + w, horizon + float(rng.uniform(0, 8))), fill=color)
    for post in range(0, width, int(rng.integers(20, 60))):
        pen.line((post, 0, post, horizon), fill=tuple(int(v * 0.9) for v in wall))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
    grain = rng.standard_normal((height // 2, width // 2, 1)).repeat(2, 0).repeat(2, 1) * 6.0
    return np.clip(soft + grain, 0, 255).astype(np.uint8)

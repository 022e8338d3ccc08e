"""One image of a person under a camera, with other people and obstacles in the way."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from passerby.array_types import UInt8
from passerby.data.synthetic.camera import HEIGHT, WIDTH, ZOOM, Camera, photograph
from passerby.data.synthetic.figure import Figure
from passerby.data.synthetic.person import Person

_PASSERS_BY = 0.12  # share of the images in which somebody else is partly in the picture
_OBSTACLES = 0.12  # share of the images in which something stands before the person


_PLAIN_CAMERA = Camera(
    background=np.zeros((1, 1, 3), np.uint8), gain=np.ones(3, np.float32), gamma=1.0, saturation=1.0, haze=0.0,
    blur=0.0, noise=0.0, light=0.0, loose=0.0, turn=0.0,
)  # fmt: skip


def draw_person(person: Person, camera: Camera, rng: np.random.Generator) -> UInt8:
    """One image of a person under a camera: uint8 [HEIGHT, WIDTH, 3]."""
    layer = Image.new("RGBA", (WIDTH * ZOOM, HEIGHT * ZOOM))
    other = rng.random()
    if other < _PASSERS_BY / 2:
        _draw_passer_by(layer, camera, rng)
    Figure(layer, person, camera, rng).draw()
    if _PASSERS_BY / 2 < other < _PASSERS_BY:
        _draw_passer_by(layer, camera, rng)
    if rng.random() < _OBSTACLES:
        _draw_obstacle(layer, rng)
    return photograph(layer, camera, rng)


def draw_clutter(camera: Camera, rng: np.random.Generator, *, junk: bool) -> UInt8:
    """A detector's mistake: mere background or part of a passer-by (distractor), or a badly cut one (junk)."""
    layer = Image.new("RGBA", (WIDTH * ZOOM, HEIGHT * ZOOM))
    if junk or rng.random() < 0.5:
        passer_by = Person.of(int(rng.integers(2**31)), 0)
        figure = Figure(layer, passer_by, camera, rng)
        figure.scale *= float(rng.uniform(1.3, 2.2))
        figure.x += float(rng.uniform(-0.5, 0.5)) * WIDTH * ZOOM
        figure.ground += float(rng.uniform(0.1, 0.9)) * HEIGHT * ZOOM
        figure.draw()
    return photograph(layer, camera, rng)


def draw_walker(person: Person, height: int, *, turn: float, stride: float) -> UInt8:
    """A walking person alone, to be put into a scene: RGBA uint8 [height, height / 2, 4], feet at the lower edge.

    Args:
        person: who.
        height: pixels of the picture; the person fills most of it.
        turn: the side that is shown: 0 front, pi / 2 side, pi back.
        stride: -1 to 1, how far the legs are apart.
    """
    layer = Image.new("RGBA", (height // 2 * ZOOM, height * ZOOM))
    figure = Figure(layer, person, _PLAIN_CAMERA, np.random.default_rng(0))
    figure.scale, figure.x, figure.ground = 0.93 * person.height * layer.height, layer.width / 2, 0.995 * layer.height
    figure.turn, figure.stride = turn, stride
    figure.draw()
    return np.asarray(layer.reduce(ZOOM))


def _draw_passer_by(layer: Image.Image, camera: Camera, rng: np.random.Generator) -> None:
    passer_by = Figure(layer, Person.of(int(rng.integers(2**31)), 0), camera, rng)
    passer_by.x += float(rng.choice((-1, 1)) * rng.uniform(0.36, 0.55)) * layer.width
    passer_by.draw()


def _draw_obstacle(layer: Image.Image, rng: np.random.Generator) -> None:
    """A post, or something low: a bicycle's basket, a bin, a car's bonnet."""
    width, height = layer.size
    color = tuple(int(v) for v in rng.uniform(30, 200) + rng.uniform(-25, 25, 3))
    pen = ImageDraw.Draw(layer)
    if rng.random() < 0.4:
        x, wide = float(rng.uniform(0.1, 0.8)) * width, float(rng.uniform(0.06, 0.16)) * width
        pen.rectangle((x, 0, x + wide, height), fill=color)
    else:
        x, top = float(rng.uniform(-0.3, 0.5)) * width, float(rng.uniform(0.62, 0.85)) * height
        pen.rounded_rectangle((x, top, x + float(rng.uniform(0.5, 1.2)) * width, 1.1 * height), 12, fill=color)

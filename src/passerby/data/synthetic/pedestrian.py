"""How a drawn pedestrian looks: persons, cameras, and one image of the one under the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from passerby.array_types import UInt8

HEIGHT, WIDTH = 128, 64
_ZOOM = 2  # drawn at twice the size and averaged: soft edges
Color: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

# Clothes come from few colours, the plain ones most often, so that many people share them.
_CLOTHES: tuple[tuple[Color, float], ...] = (
    ((28, 28, 32), 4.0), ((92, 94, 98), 2.5), ((172, 172, 170), 2.0), ((226, 224, 218), 3.0), ((34, 46, 92), 3.0),
    ((62, 98, 164), 2.0), ((128, 168, 206), 1.5), ((158, 36, 40), 1.5), ((204, 92, 120), 1.0), ((52, 100, 62), 1.2),
    ((132, 138, 78), 1.0), ((206, 168, 60), 1.0), ((206, 112, 44), 0.8), ((98, 66, 46), 1.2), ((186, 160, 124), 1.5),
    ((98, 62, 122), 0.8),
)  # fmt: skip
_TROUSERS: tuple[tuple[Color, float], ...] = (
    ((26, 26, 30), 4.0), ((40, 52, 88), 3.5), ((92, 112, 148), 2.0), ((86, 86, 90), 1.5), ((168, 148, 116), 1.5),
    ((214, 212, 206), 0.8), ((88, 62, 46), 0.8), ((70, 78, 54), 0.7), ((140, 44, 48), 0.4),
)  # fmt: skip
_SKIN: tuple[Color, ...] = ((238, 202, 176), (222, 178, 146), (190, 140, 104), (142, 98, 70), (92, 64, 48))
_HAIR: tuple[Color, ...] = ((24, 20, 20), (54, 38, 28), (98, 66, 40), (176, 138, 84), (134, 58, 32), (150, 148, 146))
_PATTERNS = ("plain", "plain", "plain", "bands", "stripes", "checks", "block", "print", "open")
_COMMON_OUTFITS = 12
_SHARE_IN_COMMON = 0.45  # of the people; they differ only in body, hair, shoes and bag
_PASSERS_BY = 0.12  # share of the images in which somebody else is partly in the picture
_OBSTACLES = 0.12  # share of the images in which something stands before the person
_BAGS = ("none", "none", "none", "backpack", "backpack", "shoulder", "hand")


@dataclass(frozen=True)
class Person:
    """What stays the same from camera to camera."""

    height: float
    build: float
    skin: Color
    hair: Color
    hairdo: str  # short, long, bun, cap, bald
    top: Color
    accent: Color
    pattern: str
    period: int
    sleeves: float  # share of the arm that is covered
    legwear: str  # trousers, shorts, skirt, dress
    bottom: Color
    shoes: Color
    bag: str
    bag_color: Color

    @staticmethod
    def of(seed: int, pid: int) -> Person:
        """The person with this id: a body, and an outfit that is one's own or one of a few that many wear."""
        rng = np.random.default_rng((seed, 1, pid))
        shared = int(rng.integers(_COMMON_OUTFITS)) if rng.random() < _SHARE_IN_COMMON else None
        outfit = rng if shared is None else np.random.default_rng((seed, 3, shared))
        top = _shade(_pick(_CLOTHES, outfit), outfit)
        accent = _pick(_CLOTHES, outfit)
        while sum(abs(a - b) for a, b in zip(accent, top, strict=True)) < 110:  # a pattern has to be seen
            accent = _pick(_CLOTHES, outfit)
        return Person(
            top=_shade(top, rng, 5),
            accent=accent,
            pattern=str(outfit.choice(_PATTERNS)),
            period=int(outfit.integers(5, 9)),
            sleeves=float(outfit.choice((0.35, 1.0))),
            legwear=str(outfit.choice(("trousers", "shorts", "skirt", "dress"), p=(0.68, 0.14, 0.1, 0.08))),
            bottom=_shade(_pick(_TROUSERS, outfit), outfit),
            height=float(rng.uniform(0.9, 1.04)),
            build=float(rng.uniform(0.82, 1.22)),
            skin=_shade(_SKIN[int(rng.choice(5, p=(0.3, 0.3, 0.2, 0.12, 0.08)))], rng, 6),
            hair=_HAIR[int(rng.choice(6, p=(0.34, 0.26, 0.16, 0.1, 0.06, 0.08)))],
            hairdo=str(rng.choice(("short", "long", "bun", "cap", "bald"), p=(0.48, 0.28, 0.08, 0.1, 0.06))),
            shoes=_shade(_pick(_CLOTHES, rng), rng),
            bag=str(rng.choice(_BAGS)),
            bag_color=_shade(_pick(_CLOTHES, rng), rng),
        )


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


_PLAIN_CAMERA = Camera(
    background=np.zeros((1, 1, 3), np.uint8), gain=np.ones(3, np.float32), gamma=1.0, saturation=1.0, haze=0.0,
    blur=0.0, noise=0.0, light=0.0, loose=0.0, turn=0.0,
)  # fmt: skip


def draw_person(person: Person, camera: Camera, rng: np.random.Generator) -> UInt8:
    """One image of a person under a camera: uint8 [HEIGHT, WIDTH, 3]."""
    layer = Image.new("RGBA", (WIDTH * _ZOOM, HEIGHT * _ZOOM))
    other = rng.random()
    if other < _PASSERS_BY / 2:
        _draw_stranger(layer, camera, rng)
    _Figure(layer, person, camera, rng).draw()
    if _PASSERS_BY / 2 < other < _PASSERS_BY:
        _draw_stranger(layer, camera, rng)
    if rng.random() < _OBSTACLES:
        _draw_obstacle(layer, rng)
    return _photograph(layer, camera, rng)


def draw_walker(person: Person, height: int, *, turn: float, stride: float) -> UInt8:
    """A walking person alone, to be put into a scene: RGBA uint8 [height, height / 2, 4], feet at the lower edge.

    Args:
        person: who.
        height: pixels of the picture; the person fills most of it.
        turn: the side that is shown: 0 front, pi / 2 side, pi back.
        stride: -1 to 1, how far the legs are apart.
    """
    layer = Image.new("RGBA", (height // 2 * _ZOOM, height * _ZOOM))
    figure = _Figure(layer, person, _PLAIN_CAMERA, np.random.default_rng(0))
    figure.scale, figure.x, figure.ground = 0.93 * person.height * layer.height, layer.width / 2, 0.995 * layer.height
    figure.turn, figure.stride = turn, stride
    figure.draw()
    return np.asarray(layer.reduce(_ZOOM))


def _draw_stranger(layer: Image.Image, camera: Camera, rng: np.random.Generator) -> None:
    stranger = _Figure(layer, Person.of(int(rng.integers(2**31)), 0), camera, rng)
    stranger.x += float(rng.choice((-1, 1)) * rng.uniform(0.36, 0.55)) * layer.width
    stranger.draw()


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


def draw_clutter(camera: Camera, rng: np.random.Generator, *, junk: bool) -> UInt8:
    """A detector's mistake: mere background or part of a stranger (distractor), or a badly cut stranger (junk)."""
    layer = Image.new("RGBA", (WIDTH * _ZOOM, HEIGHT * _ZOOM))
    if junk or rng.random() < 0.5:
        stranger = Person.of(int(rng.integers(2**31)), 0)
        figure = _Figure(layer, stranger, camera, rng)
        figure.scale *= float(rng.uniform(1.3, 2.2))
        figure.x += float(rng.uniform(-0.5, 0.5)) * WIDTH * _ZOOM
        figure.ground += float(rng.uniform(0.1, 0.9)) * HEIGHT * _ZOOM
        figure.draw()
    return _photograph(layer, camera, rng)


class _Figure:
    """A walking person on a transparent layer; lengths are shares of the body height."""

    def __init__(self, layer: Image.Image, person: Person, camera: Camera, rng: np.random.Generator) -> None:
        self.layer = layer
        self.pen = ImageDraw.Draw(layer)
        self.person = person
        self.rng = rng
        width, height = layer.size
        loose = camera.loose
        self.scale = height * 0.93 * person.height * float(1 + rng.normal(0.0, loose))
        self.x = width * (0.5 + float(rng.normal(0.0, loose)))
        self.ground = height * (0.985 + float(rng.normal(0.0, loose * 0.6)))
        self.turn = camera.turn + float(rng.normal(0.0, 0.9))
        self.stride = float(rng.uniform(-1.0, 1.0))

    def draw(self) -> None:
        """From the far side to the near side."""
        p = self.person
        self.side = abs(math.sin(self.turn))  # 0 seen from the front or back, 1 from the side
        self.back = math.cos(self.turn) < 0.0
        self.facing = 1.0 if math.sin(self.turn) >= 0.0 else -1.0
        self.shoulder = (0.118 - 0.045 * self.side) * p.build
        self.hip = (0.088 - 0.025 * self.side) * p.build
        if p.bag == "backpack" and not self.back:
            self._backpack(behind=True)
        self._arm(-1)
        self._leg(-1)
        self._leg(1)
        self._skirt()
        self._torso()
        self._arm(1)
        self._head()
        if p.bag == "backpack" and self.back:
            self._backpack(behind=False)
        if p.bag == "shoulder":
            self._shoulder_bag()

    def _at(self, x: float, y: float) -> Point:
        return self.x + x * self.scale, self.ground - y * self.scale

    def _limb(self, points: list[Point], width: float, color: Color) -> None:
        corners = [self._at(*point) for point in points]
        thick = max(2, round(width * self.scale))
        self.pen.line(corners, fill=color, width=thick, joint="curve")
        for x, y in (corners[0], corners[-1]):
            self.pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=color)

    def _oval(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        left, top = self._at(x - rx, y + ry)
        right, bottom = self._at(x + rx, y - ry)
        self.pen.ellipse((left, top, right, bottom), fill=color)

    def _area(self, points: list[Point], color: Color) -> None:
        self.pen.polygon([self._at(*point) for point in points], fill=color)

    def _leg(self, which: int) -> None:
        p = self.person
        swing = self.stride * which * (0.03 + 0.1 * self.side)
        apart = which * (0.045 - 0.03 * self.side) * p.build
        hip, knee = (apart, 0.5), (apart + 0.6 * swing, 0.28)
        ankle = (apart + swing - self.facing * 0.02 * self.side, 0.045)
        thick = 0.074 * p.build
        dim = 1.0 if which > 0 else 0.82
        covered = _dim(p.bottom, dim)
        bare = _dim(p.skin, dim)
        if p.legwear == "trousers":
            self._limb([hip, knee, ankle], thick, covered)
        else:
            self._limb([hip, knee, ankle], 0.85 * thick, bare)
            if p.legwear == "shorts":
                self._limb([hip, (apart + 0.5 * swing, 0.31)], 1.1 * thick, covered)
        toe = self.facing * 0.028 * self.side
        self._oval(ankle[0] + toe, 0.022, 0.034 + 0.012 * self.side, 0.024, _dim(p.shoes, dim))

    def _skirt(self) -> None:
        p = self.person
        if p.legwear in ("skirt", "dress"):
            color = p.top if p.legwear == "dress" else p.bottom
            self._area([(-self.hip, 0.54), (self.hip, 0.54), (1.45 * self.hip, 0.3), (-1.45 * self.hip, 0.3)], color)
        else:
            self._area([(-self.hip, 0.52), (self.hip, 0.52), (0.9 * self.hip, 0.45), (-0.9 * self.hip, 0.45)], p.bottom)

    def _torso(self) -> None:
        p = self.person
        outline = [
            (-0.035, 0.86), (0.035, 0.86), (self.shoulder, 0.825), (self.shoulder * 0.92, 0.68),
            (self.hip * 1.05, 0.5), (-self.hip * 1.05, 0.5), (-self.shoulder * 0.92, 0.68), (-self.shoulder, 0.825),
        ]  # fmt: skip
        self._area(outline, p.top)
        if p.pattern != "plain":
            self._pattern(outline)

    def _pattern(self, outline: list[Point]) -> None:
        mask = Image.new("L", self.layer.size)
        ImageDraw.Draw(mask).polygon([self._at(*point) for point in outline], fill=255)
        box = mask.getbbox()
        if box is None:
            return
        cloth = Image.new("RGBA", self.layer.size)
        pen = ImageDraw.Draw(cloth)
        accent = (*self.person.accent, 255)
        left, top, right, bottom = box
        step = self.person.period * 2
        pattern = self.person.pattern
        if pattern in ("bands", "checks"):
            for y in range(top, bottom, step):
                pen.rectangle((left, y, right, y + step // 2), fill=accent)
        if pattern in ("stripes", "checks"):
            for x in range(left, right, step):
                pen.rectangle((x, top, x + step // 3, bottom), fill=accent)
        if pattern == "block":
            pen.rectangle((left, top, right, top + (bottom - top) * 2 // 5), fill=accent)
        if pattern == "open" and not self.back:
            middle = (left + right) // 2 + int(self.facing * self.side * (right - left) * 0.3)
            pen.rectangle((middle - step // 3, top, middle + step // 3, bottom), fill=accent)
        if pattern == "print" and self.side < 0.9:
            x, y = (left + right) // 2, top + (bottom - top) * 2 // 5
            pen.ellipse((x - step * 2 // 3, y - step * 2 // 3, x + step * 2 // 3, y + step * 2 // 3), fill=accent)
        self.layer.paste(cloth, (0, 0), Image.composite(cloth.getchannel("A"), Image.new("L", mask.size), mask))

    def _arm(self, which: int) -> None:
        p = self.person
        swing = -self.stride * which * (0.03 + 0.08 * self.side)
        start = which * self.shoulder * (0.95 - 0.75 * self.side)
        shoulder, elbow = (start, 0.805), (start + which * 0.02 + 0.5 * swing, 0.655)
        hand = (start + which * 0.015 + swing + self.facing * 0.03 * self.side, 0.515)
        dim = 0.94 if which > 0 else 0.78
        sleeve, skin = _dim(p.top, dim), _dim(p.skin, dim)
        thick = 0.052 * p.build
        if p.bag == "hand" and which > 0:
            left, top = self._at(hand[0] - 0.05, hand[1] + 0.01)
            right, bottom = self._at(hand[0] + 0.05, hand[1] - 0.11)
            self.pen.rectangle((left, top, right, bottom), fill=p.bag_color)
        self._limb([shoulder, elbow, hand], 0.8 * thick, skin)
        if p.sleeves == 1.0:
            self._limb(
                [shoulder, elbow, (0.2 * elbow[0] + 0.8 * hand[0], 0.2 * elbow[1] + 0.8 * hand[1])], thick, sleeve
            )
        else:
            end = ((shoulder[0] + elbow[0]) / 2, (shoulder[1] + elbow[1]) / 2)
            self._limb([shoulder, end], 1.12 * thick, sleeve)

    def _head(self) -> None:
        p = self.person
        self._limb([(0.0, 0.85), (0.0, 0.88)], 0.05, _dim(p.skin, 0.85))
        look = self.facing * 0.014 * self.side
        if p.hairdo == "long":
            self._oval(-look, 0.9, 0.056, 0.085, p.hair)
        self._oval(0.0, 0.93, 0.047, 0.062, p.skin)
        if p.hairdo == "bald":
            return
        color = p.accent if p.hairdo == "cap" else p.hair
        if self.back and self.side < 0.8:
            self._oval(0.0, 0.94, 0.05, 0.058, color)
            if p.hairdo == "long":
                self._oval(0.0, 0.89, 0.052, 0.075, color)
        else:
            self._oval(-look, 0.965, 0.049, 0.034, color)
            if self.side > 0.5:
                self._oval(-self.facing * 0.03, 0.94, 0.024, 0.045, color)
        if p.hairdo == "bun":
            self._oval(-self.facing * 0.03 * self.side, 1.0, 0.024, 0.024, color)
        if p.hairdo == "cap" and not self.back:
            self._limb([(0.0, 0.955), (self.facing * (0.03 + 0.04 * self.side), 0.95)], 0.016, color)

    def _backpack(self, *, behind: bool) -> None:
        color = self.person.bag_color
        if behind:  # seen from the front: straps; from the side: the pack sticks out
            self._oval(-self.facing * 0.1 * self.side, 0.7, 0.075, 0.12, color)
            return
        shift = -self.facing * 0.08 * self.side
        self._oval(shift, 0.7, 0.085, 0.125, color)
        self._oval(shift, 0.655, 0.055, 0.05, _dim(color, 0.75))

    def _shoulder_bag(self) -> None:
        p = self.person
        self._limb([(-0.7 * self.shoulder, 0.83), (0.9 * self.hip, 0.53)], 0.018, _dim(p.bag_color, 0.8))
        left, top = self._at(0.6 * self.hip, 0.56)
        right, bottom = self._at(0.6 * self.hip + 0.085, 0.44)
        self.pen.rectangle((left, top, right, bottom), fill=p.bag_color)


def _photograph(layer: Image.Image, camera: Camera, rng: np.random.Generator) -> UInt8:
    """Put the layer before the camera's background, then light, lens and sensor."""
    figure = np.asarray(layer.reduce(_ZOOM))
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


def _pick(table: tuple[tuple[Color, float], ...], rng: np.random.Generator) -> Color:
    weights = np.array([weight for _, weight in table])
    return table[int(rng.choice(len(table), p=weights / weights.sum()))][0]


def _shade(color: Color, rng: np.random.Generator, spread: int = 12) -> Color:
    moved = np.clip(np.array(color) + rng.normal(0.0, spread, 3), 8, 247)
    return int(moved[0]), int(moved[1]), int(moved[2])


def _dim(color: Color, factor: float) -> Color:
    return int(color[0] * factor), int(color[1] * factor), int(color[2] * factor)

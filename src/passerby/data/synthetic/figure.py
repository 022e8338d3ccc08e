"""A walking person drawn on a transparent layer."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from passerby.data.synthetic.camera import Camera
from passerby.data.synthetic.person import Color, Person

Point: TypeAlias = tuple[float, float]


class Figure:
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


def _dim(color: Color, factor: float) -> Color:
    return int(color[0] * factor), int(color[1] * factor), int(color[2] * factor)

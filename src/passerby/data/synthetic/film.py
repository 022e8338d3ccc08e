"""Drawn films with truth: pedestrians who walk through several cameras, pass each other, leave and come back."""

from __future__ import annotations

import importlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby.array_types import Float64, UInt8
from passerby.data.synthetic.camera import Camera
from passerby.data.synthetic.pedestrian import draw_walker
from passerby.data.synthetic.person import Person
from passerby.errors import DataError, MissingExtraError

WIDTH, HEIGHT = 320, 180
_LEAST_VISIBLE = 0.25  # share of a person's box that lies in the picture and is not hidden, for a true box
_SPEED = 40.0  # pixels per second
_STEP = 1.6  # strides per second


@dataclass(frozen=True)
class DrawnFilm:
    """One drawn film.

    Attributes:
        film: the file.
        truth: true boxes in MOT format, `frame,person,left,top,width,height,1,-1,-1,-1`; persons are the same in all
            films.
        camera: name of the camera.
    """

    film: Path
    truth: Path
    camera: str


@dataclass(frozen=True)
class _Walk:
    """One crossing of the picture."""

    person: int
    begin: float  # seconds
    rightwards: bool
    height: int  # pixels; the taller, the nearer
    speed: float  # pixels per second

    def left_at(self, time: float) -> float:
        """Left edge of the walker's picture."""
        gone = self.speed * (time - self.begin)
        return gone - self.height / 2 if self.rightwards else WIDTH - gone

    @property
    def end(self) -> float:
        """When the picture is crossed."""
        return self.begin + (WIDTH + self.height / 2) / self.speed


def draw_films(
    folder: str | os.PathLike[str],
    *,
    people: int = 4,
    cameras: int = 2,
    seconds: float = 12.0,
    rate: int = 10,
    seed: int = 0,
) -> list[DrawnFilm]:
    """Draw films of a few people, one film a camera, in a new folder.

    Everybody crosses every camera's picture at least once (if the time allows), in both directions, at depths of their
    own, so that people pass behind each other.

    Args:
        folder: made if missing.
        people: how many.
        cameras: how many.
        seconds: length of each film.
        rate: frames per second.
        seed: the same seed draws the same films.

    Raises:
        DataError: numbers that make no film.
        MissingExtraError: PyAV is not installed.
    """
    if people < 1 or cameras < 1 or seconds * rate < 1 or seed < 0:
        raise DataError(f"cannot draw {cameras} films of {people} people, {seconds:g} s at {rate} frames per second")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    persons = [Person.of(seed, pid) for pid in range(1, people + 1)]
    films = []
    for number in range(cameras):
        rng = np.random.default_rng((seed, 4, number))
        walks = _walks(people, seconds, rng)
        found = DrawnFilm(place / f"camera{number}.mp4", place / f"camera{number}.txt", f"camera{number}")
        _draw_film(found, Camera.of(seed, number), persons, walks, round(seconds * rate), rate, rng)
        films.append(found)
    return films


def _walks(people: int, seconds: float, rng: np.random.Generator) -> list[_Walk]:
    """Crossings, the farthest first, so that nearer people are drawn over them."""
    walks = []
    heights = rng.permutation(np.linspace(84, 128, people).round().astype(int) // 2 * 2)
    for person in range(people):
        begin = float(rng.uniform(-2.0, 0.25 * seconds))
        rightwards = bool(person % 2)
        while begin < seconds:
            walk = _Walk(person, begin, rightwards, int(heights[person]), _SPEED * float(rng.uniform(0.9, 1.3)))
            walks.append(walk)
            begin, rightwards = walk.end + float(rng.uniform(0.5, 1.5)), not rightwards
    return sorted(walks, key=lambda walk: walk.height)


def _draw_film(
    found: DrawnFilm,
    camera: Camera,
    persons: list[Person],
    walks: list[_Walk],
    frames: int,
    rate: int,
    rng: np.random.Generator,
) -> None:
    av = _pyav()
    ground = np.asarray(
        Image.fromarray(camera.background).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), np.float64
    )
    lines: list[str] = []
    with av.open(str(found.film), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for index in range(frames):
            picture, boxes = _scene(ground, persons, walks, index / rate)
            lines += [f"{index + 1},{person + 1},{x},{y},{w},{h},1,-1,-1,-1" for person, x, y, w, h in boxes]
            seen = np.clip(picture * camera.gain + rng.normal(0, camera.noise, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(seen, format="rgb24")))
        container.mux(stream.encode())
    found.truth.write_text("\n".join(lines) + "\n", "utf-8")


def _scene(
    ground: Float64, persons: list[Person], walks: list[_Walk], time: float
) -> tuple[Float64, list[tuple[int, int, int, int, int]]]:
    """A frame, and the true boxes (person, left, top, width, height) of whoever is seen well enough."""
    picture = ground.copy()
    owner = np.full(ground.shape[:2], -1)
    areas: dict[int, tuple[tuple[int, int, int, int], int]] = {}
    for walk in walks:
        if not walk.begin <= time <= walk.end:
            continue
        turn = math.pi / 2 if walk.rightwards else -math.pi / 2
        stride = math.sin(2 * math.pi * _STEP * (time - walk.begin))
        figure = draw_walker(persons[walk.person], walk.height, turn=turn, stride=stride)
        # nearer people stand lower in the picture
        left, top = round(walk.left_at(time)), HEIGHT - 6 - round(0.4 * (128 - walk.height)) - walk.height
        box = _paste(picture, owner, figure, left, top, walk.person)
        if box is not None:
            areas[walk.person] = (box, int((figure[:, :, 3] > 127).sum()))
    boxes = [
        (person, *box)
        for person, (box, pixels) in areas.items()
        if int((owner == person).sum()) >= _LEAST_VISIBLE * pixels
    ]
    return picture, boxes


def _paste(
    picture: Float64, owner: Any, figure: UInt8, left: int, top: int, person: int
) -> tuple[int, int, int, int] | None:
    """Draw a figure into the frame; its box in the frame, or None outside."""
    rows, columns = np.nonzero(figure[:, :, 3] > 127)
    x0, x1 = max(left + int(columns.min()), 0), min(left + int(columns.max()) + 1, WIDTH)
    y0, y1 = max(top + int(rows.min()), 0), min(top + int(rows.max()) + 1, HEIGHT)
    if x1 <= x0 or y1 <= y0:
        return None
    part = figure[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float64)
    share = part[:, :, 3:] / 255
    picture[y0:y1, x0:x1] += (part[:, :, :3] - picture[y0:y1, x0:x1]) * share
    owner[y0:y1, x0:x1][share[:, :, 0] > 0.5] = person
    return x0, y0, x1 - x0, y1 - y0


def _pyav() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        raise MissingExtraError("av", "video", "drawing films") from None

"""A film with boxes and numbers drawn in."""

from __future__ import annotations

import colorsys
import importlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from passerby.array_types import UInt8
from passerby.tracking.films import read_frames
from passerby.tracking.result import IdentityRows, TrackedFilm

_TICKS = 1000  # of the film's clock in a second
_GOLDEN = 0.618033988749895  # steps of this size around the colour circle keep neighbours apart


def identity_color(identity: int) -> tuple[int, int, int]:
    """RGB of an identity, the same everywhere."""
    red, green, blue = colorsys.hsv_to_rgb(identity * _GOLDEN % 1.0, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def write_annotated_film(
    path: Path, film: TrackedFilm, *, advance: Callable[[int], object] = lambda frames: None
) -> None:
    """Decode the film again and write it as H.264 (MPEG-4 where PyAV has none); filled boxes are thin.

    Frames that were not looked at have boxes on straight lines between the two around them that were, of whoever is in
    both.

    Args:
        path: of the new film.
        film: what was found in it.
        advance: called with the number of frames that were read.

    Raises:
        DataError: the film cannot be read any more.
    """
    av = importlib.import_module("av")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    by_frame = _rows_by_frame(film.rows)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=max(1, round(film.rate)))
        width, height = (side - side % 2 for side in film.size)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        last = -1
        for frame in read_frames(film.source, last=film.frames, bits=film.bits):
            advance(1)
            if frame.image is None:
                continue
            rows, places = _rows_of_frame(film, by_frame, frame.index)
            drawn = draw_identities(frame.image, rows, places)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn[:height, :width]), format="rgb24")
            last = max(last + 1, round(frame.time * _TICKS))  # moments must grow
            picture.pts, picture.time_base = last, Fraction(1, _TICKS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _rows_by_frame(rows: IdentityRows) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row, frame in enumerate(rows.frames.tolist()):
        found.setdefault(frame, []).append(row)
    return found


def _rows_of_frame(film: TrackedFilm, by_frame: Mapping[int, list[int]], frame: int) -> tuple[IdentityRows, list[int]]:
    """Rows to draw into a frame, and their places."""
    passed = (frame - film.first) % film.step
    if passed == 0:
        return film.rows, by_frame.get(frame, [])
    before, after = (by_frame.get(looked_at, []) for looked_at in (frame - passed, frame - passed + film.step))
    between = _rows_between(film.rows, before, after, passed / film.step)
    return between, list(range(len(between)))


def _rows_between(rows: IdentityRows, before: list[int], after: list[int], share: float) -> IdentityRows:
    """Boxes of the identities that two frames have in common, at a share of the way from one frame to the other."""
    later = {int(rows.identities[place]): place for place in after}
    pairs = [(place, later[int(rows.identities[place])]) for place in before if int(rows.identities[place]) in later]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    mixed = [(1 - share) * column[first] + share * column[second] for column in (rows.times, rows.boxes, rows.scores)]
    return IdentityRows(
        frames=np.rint((1 - share) * rows.frames[first] + share * rows.frames[second]).astype(np.int64),
        times=mixed[0],
        identities=rows.identities[first],
        boxes=mixed[1].astype(np.float32),
        scores=mixed[2].astype(np.float32),
        tracklets=np.full(len(pairs), -1),
        filled=rows.filled[first] | rows.filled[second],
    )


def draw_identities(image: UInt8, rows: IdentityRows, places: list[int]) -> UInt8:
    """The picture [H, W, 3] with the boxes and numbers of some rows."""
    if not places:
        return image
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    for row in places:
        left, top, right, bottom = (float(side) for side in rows.boxes[row])
        identity = int(rows.identities[row])
        color = identity_color(identity)
        pen.rectangle(
            (left, top, max(left, right), max(top, bottom)), outline=color, width=1 if rows.filled[row] else 2
        )
        text = str(identity)
        place = pen.textbbox((left, max(0.0, top - 12)), text)
        pen.rectangle(place, fill=color)
        pen.text((left, max(0.0, top - 12)), text, fill=(0, 0, 0))
    return np.asarray(canvas)

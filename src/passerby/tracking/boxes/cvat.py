"""Boxes in CVAT's XML for films (version 1.1)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, is_not_counted, real_numbers, whole_number

_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def read_cvat(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read `<track id label><box frame outside xtl ytl xbr ybr/></track>` elements; frames count from 0.

    Or, of CVAT for images, `<image id><box label xtl ytl xbr ybr/></image>`: the id is the frame, and an attribute
    `track_id` or `id` of a box its track.

    Boxes outside the picture, rotated ones, other shapes and other labels are counted and left out; those with an
    attribute `ignore` or `iscrowd` that is set are not to be counted.

    Raises:
        DataError: not such a file, or a box that is wrong (the message names its track).
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{path}: the boxes cannot be read as XML ({error})") from None
    if root.tag != "annotations" or (root.find("image") is None and root.find("track") is None):
        inner = ", ".join(sorted({f"<{child.tag}>" for child in root})) or "nothing"
        raise DataError(
            f"{path}: expected CVAT 1.1 for video (annotations with tracks) or for images, found <{root.tag}> with "
            f"{inner}"
        )
    found = BoxFile(path, "cvat")
    boxes = chain(_boxes_of_images(found, root), _boxes(found, root))
    return found.add(boxes, 0 if first_frame is None else first_frame)


def _boxes(found: BoxFile, root: ElementTree.Element) -> Iterator[Box]:
    row = 0
    for track in root.iter("track"):
        number = whole_number(track.get("id"), str(found.path), "track id")
        if not found.takes_label(track.get("label")):
            continue
        for shape in track:
            row += 1
            where = f"{found.path}, track {number}, entry {row}"
            if shape.get("outside") == "1":
                found.skip("outside the picture")
            elif (box := _box(found, shape, shape.get("frame"), number, row, where)) is not None:
                yield box


def _boxes_of_images(found: BoxFile, root: ElementTree.Element) -> Iterator[Box]:
    row = 0
    for image in root.iter("image"):
        frame = whole_number(image.get("id"), str(found.path), "image id")
        for shape in image:
            row += 1
            where = f"{found.path}, image {frame}, entry {row}"
            given = _attributes(shape)
            track = given.get("track_id") or given.get("id")
            number = whole_number(track, where, "track") if track else -1
            if found.takes_label(shape.get("label")):
                box = _box(found, shape, frame, number, row, where)
                if box is not None:
                    yield box


def _attributes(shape: ElementTree.Element) -> dict[str, str]:
    return {str(one.get("name")): (one.text or "").strip() for one in shape.iter("attribute")}


def _box(found: BoxFile, shape: ElementTree.Element, frame: object, track: int, row: int, where: str) -> Box | None:
    """The box of a shape; None, and counted, where it is of another kind."""
    if shape.tag != "box":
        found.skip(f"a {shape.tag}, not a box")
        return None
    if real_numbers([shape.get("rotation", "0")], f"{where}, rotation") != [0.0]:
        found.skip("a rotated box, whose sides are not those of a picture's part")
        return None
    left, top, right, bottom = real_numbers((shape.get(name) for name in _CORNERS), where)
    ignored = is_not_counted(_attributes(shape))
    number = whole_number(frame, where, "frame")
    return Box(number, track, left, top, right - left, bottom - top, None, row, ignored=ignored)

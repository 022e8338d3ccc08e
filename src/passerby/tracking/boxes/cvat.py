"""Boxes in CVAT's XML for films (version 1.1)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, real_numbers, whole_number

_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def read_cvat(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read `<track id label><box frame outside xtl ytl xbr ybr/></track>` elements; frames count from 0.

    Or, of CVAT for images, `<image id><box label xtl ytl xbr ybr/></image>`: the id is the frame, and an attribute
    `track_id` or `id` of a box its track.

    Boxes outside the picture, other shapes and other labels are counted and left out.

    Raises:
        DataError: not such a file, or a box that is wrong (the message names its track).
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{path}: the boxes cannot be read as XML ({error})") from None
    if root.tag != "annotations" or (root.find("image") is None and root.find("track") is None):
        raise DataError(
            f"{path}: expected CVAT 1.1 for video (annotations with tracks) or for images, found <{root.tag}>"
        )
    found = BoxFile(path, "cvat")
    boxes = _boxes_of_images(found, root) if root.find("image") is not None else _boxes(found, root)
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
            if shape.tag != "box":
                found.skip(f"a {shape.tag}, not a box")
            elif shape.get("outside") == "1":
                found.skip("outside the picture")
            else:
                left, top, right, bottom = real_numbers((shape.get(name) for name in _CORNERS), where)
                frame = whole_number(shape.get("frame"), where, "frame")
                yield Box(frame, number, left, top, right - left, bottom - top, None, row)


def _boxes_of_images(found: BoxFile, root: ElementTree.Element) -> Iterator[Box]:
    row = 0
    for image in root.iter("image"):
        frame = whole_number(image.get("id"), str(found.path), "image id")
        for shape in image:
            row += 1
            where = f"{found.path}, image {frame}, entry {row}"
            if shape.tag != "box":
                found.skip(f"a {shape.tag}, not a box")
            elif found.takes_label(shape.get("label")):
                left, top, right, bottom = real_numbers((shape.get(name) for name in _CORNERS), where)
                given = {one.get("name"): (one.text or "").strip() for one in shape.iter("attribute")}
                track = given.get("track_id") or given.get("id")
                number = whole_number(track, where, "track") if track else -1
                yield Box(frame, number, left, top, right - left, bottom - top, None, row)

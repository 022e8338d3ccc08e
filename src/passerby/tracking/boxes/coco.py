"""Boxes in a COCO JSON file: annotations of a film's frames, or a detector's results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import (
    BoxFile,
    brief,
    frame_of_name,
    is_not_counted,
    label_text,
    person_number,
    real_numbers,
    whole_number,
)
from passerby.tracking.boxes.json_lines import boxes_of_entries

_TRACKS = ("track_id", "instance_id", "object_id")
_FRAMES = ("frame_id", "frame_index", "frame")


def read_coco(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read a COCO file with `images`, `annotations` and `categories`, a bare list of results, or of other objects.

    An image's frame is its `frame_id`, `frame_index` or `frame`, else the last number in its `file_name`; in a list
    of results the `image_id` is the frame. Lists without `image_id` are read as `read_json_lines` reads its lines. A
    track is `track_id`, `instance_id` or `object_id`, also under `attributes`. Crowds and what is marked `ignore` are
    kept as not to be counted.

    Raises:
        DataError: not such a file, frames of several films, or an annotation that is wrong (the message names it).
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: the boxes cannot be read as JSON ({error})") from None
    found = BoxFile(path, "coco")
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        content = content["frames"]
    if isinstance(content, list) and not all(isinstance(entry, dict) and "image_id" in entry for entry in content):
        return found.add(boxes_of_entries(found, list(enumerate(content, start=1)), "entry"), first_frame)
    if isinstance(content, list):
        return found.add(_boxes(found, content, None, {}), first_frame)
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise DataError(f"{path}: expected a COCO file with images and annotations, or a list of results")
    images, annotations = _objects(content, "images", path), _objects(content, "annotations", path)
    films = {str(image.get("video_id")) for image in images}
    if len(films) > 1:
        raise DataError(f"{path}: frames of {len(films)} films (video_id); expected those of one film a file")
    frames = {str(_key(image, "id", path, "images", n)): _frame(image, path) for n, image in enumerate(images, 1)}
    categories = _objects(content, "categories", path) if content.get("categories") else []
    labels = {
        str(_key(category, "id", path, "categories", n)): str(_key(category, "name", path, "categories", n))
        for n, category in enumerate(categories, start=1)
    }
    return found.add(_boxes(found, annotations, frames, labels), first_frame)


def _objects(content: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    entries = content[name]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path}, {name}: expected a list of objects, found {brief(entries)}")
    return entries


def _key(entry: Mapping[str, Any], key: str, path: Path, what: str, number: int) -> Any:
    if key not in entry:
        raise DataError(f"{path}, {what}, entry {number}: expected an object with {key}, found {brief(entry)}")
    return entry[key]


def _frame(image: Mapping[str, Any], path: Path) -> int:
    for name in _FRAMES:
        if name in image:
            return whole_number(image[name], f"{path}, image {image['id']}", name)
    return frame_of_name(str(image.get("file_name", "")), f"{path}, image {image['id']}")


def _boxes(
    found: BoxFile,
    annotations: Sequence[Mapping[str, Any]],
    frames: Mapping[str, int] | None,
    labels: Mapping[str, str],
) -> Iterator[Box]:
    person = person_number(entry.get("category_id") for entry in annotations)
    for number, annotation in enumerate(annotations, start=1):
        where = f"{found.path}, annotation {number}"
        box = annotation.get("bbox")
        if not isinstance(box, list) or len(box) != 4:
            raise DataError(f"{where}: expected bbox [x, y, width, height], found {brief(annotation)}")
        category = annotation.get("category_id")
        if labels and category is not None and str(category) not in labels:
            found.skip(f"of the category {brief(category)}, which the file does not name")
            continue
        if not found.takes_label(_label(category, labels, person)):
            continue
        image = annotation.get("image_id")
        if frames is not None and str(image) not in frames:
            raise DataError(f"{where}: image_id {brief(image)} is none of the images")
        frame = whole_number(image, where, "image_id") if frames is None else frames[str(image)]
        more = annotation.get("attributes")
        merged = {**(more if isinstance(more, dict) else {}), **annotation}
        track = next((whole_number(merged[name], where, name) for name in _TRACKS if merged.get(name) is not None), -1)
        x, y, width, height = real_numbers(box, f"{where}, bbox")
        score = annotation.get("score")
        confidence = None if score is None else real_numbers([score], f"{where}, score")[0]
        confidence = None if confidence == -1 else confidence
        yield Box(frame, track, x, y, width, height, confidence, number, ignored=is_not_counted(merged))


def _label(category: Any, labels: Mapping[str, str], person: str) -> str | None:
    """Name of a class; None for people, and where nothing is said."""
    if category is None or labels:
        return labels.get(str(category))
    number = label_text(category)
    if number == person:
        return None
    return f"class {number}" if number.isdigit() else number
